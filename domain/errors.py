"""Errors of the domain: refused values and operations.

    DomainError
    ├── Unacceptable                a value breaks a rule; .field names it
    │   ├── InvalidEmail
    │   ├── InvalidPhone
    │   ├── InvalidText
    │   ├── InvalidPassword
    │   ├── WrongPassword           the given current password is wrong
    │   ├── UnknownField            a change names an unknown field
    │   └── ContactMissing          an account needs an e-mail address or a phone number
    ├── IdempotencyKeyReused        the key was used with another body
    ├── AlreadyTaken                another account has the value; .field names it
    │   ├── EmailTaken
    │   └── PhoneTaken
    ├── NotAuthenticated            the token is missing, unknown, expired or revoked
    ├── LoginRefused                no active account has this login and this password
    ├── RefreshRefused              the refresh token is unknown, expired, used or revoked
    ├── LinkRefused                 the mailed secret is unknown, expired, used or revoked
    ├── AddressUnverified           the password is right, and the account's e-mail address isn't proven
    ├── AlreadyAccepted             the account has a password, so nobody is to be invited to it
    ├── FreshLoginNeeded            the login is too old for this, and no password was given; .max_age tells what is not
    ├── NotAllowed                  the acting user may not do this
    ├── LastAdmin                   no other active account is an admin
    ├── TooManyAttempts             the rate limit is reached; .retry_after is the time to wait
    ├── TooBusy                     too many passwords are waiting to be hashed; .retry_after is the time to wait
    └── ClientGone                  the client hung up while its request waited

Leaf classes state a fact; none contains a value that a user typed.
"""

from typing import ClassVar


class DomainError(Exception):
    """Root of the errors of the domain."""


class Unacceptable(DomainError):
    """A value breaks a rule: `field` names it, `reason` states the rule, without the value."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(field, reason)

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class InvalidEmail(Unacceptable):
    """The text is not an e-mail address."""


class InvalidPhone(Unacceptable):
    """The text is not a phone number that could be dialled."""


class InvalidText(Unacceptable):
    """A text is empty, too long, or contains a character that can't be stored."""


class InvalidPassword(Unacceptable):
    """A password is too short or too long."""


class WrongPassword(Unacceptable):
    """The given current password is wrong, or the account has none."""

    def __init__(self, field: str = "current") -> None:
        super().__init__(field, "is not the current password")


class UnknownField(Unacceptable):
    """A change names a field that the model doesn't have, or that can't be changed this way."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "is no field that can be changed")


class ContactMissing(Unacceptable):
    """An account would have neither an e-mail address nor a phone number."""

    def __init__(self) -> None:
        super().__init__("email", "an account needs an e-mail address or a phone number; give one of them")


class IdempotencyKeyReused(DomainError):
    """The key was used before, with another body."""

    def __str__(self) -> str:
        return "this Idempotency-Key came before with another body; send a new key with a new request"


class AlreadyTaken(DomainError):
    """Another account, perhaps a soft-deleted one, has this value."""

    field: ClassVar[str]

    def __str__(self) -> str:
        return f"another account has this {self.field}; a deleted account keeps it until it is purged"


class EmailTaken(AlreadyTaken):
    """Another account has this e-mail address."""

    field = "email"


class PhoneTaken(AlreadyTaken):
    """Another account has this phone number."""

    field = "phone"


class NotAuthenticated(DomainError):
    """The token is missing, unknown, expired or revoked; the error doesn't say which."""

    def __str__(self) -> str:
        return "a valid access token is needed: send it as `Authorization: Bearer …`"


class FreshLoginNeeded(DomainError):
    """The change needs the current password, or a login that began no more than `max_age` seconds ago."""

    def __init__(self, max_age: int) -> None:
        self.max_age = max_age
        super().__init__(max_age)

    def __str__(self) -> str:
        return (
            "changing an e-mail address or a phone number needs the current password, in the field current_password, "
            f"or a login of the last {self.max_age} s: log in again"
        )


class NotAllowed(DomainError):
    """The acting user may not do this."""

    def __str__(self) -> str:
        return "the acting user may not do this"


class LoginRefused(DomainError):
    """The account is unknown, deleted, suspended or without password, or the password is wrong; the error doesn't say
    which.
    """

    def __str__(self) -> str:
        return "no active account has this login and this password"


class RefreshRefused(DomainError):
    """The refresh token is unknown, expired, used before or revoked; the error doesn't say which."""

    def __str__(self) -> str:
        return "this refresh token doesn't count, or no longer; log in again"


class LinkRefused(DomainError):
    """The mailed secret is unknown, expired, used or revoked, or its address is no longer the account's; the error
    doesn't say which.
    """

    def __str__(self) -> str:
        return "this link doesn't count, or no longer; ask for a new mail"


class AddressUnverified(DomainError):
    """The password is right, but nobody has proven the account's e-mail address yet."""

    def __str__(self) -> str:
        return "the e-mail address isn't verified; follow the link in its mail, or ask for another one"


class AlreadyAccepted(DomainError):
    """The account has a password already."""

    def __str__(self) -> str:
        return "this account has a password; its owner can recover it, and needs no invitation"


class LastAdmin(DomainError):
    """The change would leave no active admin who can log in."""

    def __str__(self) -> str:
        return "this is the last active admin who can log in; make another account an admin with a password first"


class TooManyAttempts(DomainError):
    """The rate limit is reached. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(retry_after)

    def __str__(self) -> str:
        return f"too many attempts; try again in {self.retry_after} s"


class TooBusy(DomainError):
    """Too many passwords are waiting to be hashed; nothing was changed. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(retry_after)

    def __str__(self) -> str:
        return f"too many passwords are being checked at this moment; try again in {self.retry_after} s"


class ClientGone(DomainError):
    """The client hung up while its password waited to be hashed; nothing was changed."""

    def __str__(self) -> str:
        return "the client hung up"
