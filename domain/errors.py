"""What the business refuses, and why.

    DomainError
    ├── NoActingUser                nobody is named as the author of a write
    ├── NoIdGenerator               a row needs an id and the session knows no generator
    ├── RelationshipNotLoaded       a relationship is looked at that its query didn't load
    ├── ColumnNotLoaded             a column is looked at whose value only the database knows
    ├── KeyNeedsText                a text is not known here, and another column is made of it
    ├── ClockWentBack               ids can't be made until the clock has caught up
    ├── Unacceptable                a value breaks a rule; .field names it
    │   ├── InvalidEmail
    │   ├── InvalidPhone
    │   ├── InvalidText
    │   ├── InvalidPassword
    │   ├── WrongPassword           the current password isn't this one
    │   ├── UnknownField            a change names a field that isn't there
    │   └── ContactMissing          an account needs an e-mail address or a phone number
    ├── IdempotencyKeyReused        the same key came with another body
    ├── AlreadyTaken                another account has the value; .field names it
    │   ├── EmailTaken
    │   └── PhoneTaken
    ├── NotAuthenticated            the token is missing, unknown, expired or revoked
    ├── LoginRefused                no active account has this login and this password
    ├── RefreshRefused              the refresh token is unknown, expired, used or revoked
    ├── NotAllowed                  the acting user may not do this
    ├── LastAdmin                   without this account nobody could administer
    └── TooManyAttempts             the rate limit is reached; .retry_after tells for how long

Leaves state a fact; values typed by people appear in none of them.
"""

from typing import ClassVar


class DomainError(Exception):
    """Root of everything the business refuses."""


class NoActingUser(DomainError):
    """No acting user is set, so a write has no author."""

    def __str__(self) -> str:
        return (
            "no acting user is set, so this write has no author. "
            "Wrap the call in `with acting_as(user_id):`, or `acting_as(SYSTEM)` where there is no person."
        )


class NoIdGenerator(DomainError):
    """The session that writes the row carries no id generator."""

    def __str__(self) -> str:
        return (
            "this session knows no id generator, so the row can't get its id. "
            "Take the session from `container.session_provider()`, or give the model an id."
        )


class KeyNeedsText(DomainError):
    """A column's text isn't known here (SQL, or many rows' parameters), and a key is made of it: `source` is the
    column.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(source)

    def __str__(self) -> str:
        return (
            f"{self.source} is set to SQL or to parameters of many rows, and the key that it is searched by is made of "
            "its text. Give it one text, or set its key along with it."
        )


class RelationshipNotLoaded(DomainError):
    """A relationship was looked at that wasn't loaded with its row: `option` is the loader option that loads it."""

    def __init__(self, model: str, relationship: str, option: str) -> None:
        self.model = model
        self.relationship = relationship
        self.option = option
        super().__init__(model, relationship, option)

    def __str__(self) -> str:
        return (
            f"{self.model}.{self.relationship} wasn't loaded with its row. Add "
            f".options({self.option}({self.model}.{self.relationship})) to the query."
        )


class ColumnNotLoaded(DomainError):
    """A column was looked at that isn't loaded, where no statement can load it. `deferred` tells that its query, or
    its mapping, left it out; else it was expired, or the database has yet to tell its value.
    """

    def __init__(self, model: str, column: str, *, deferred: bool = False) -> None:
        self.model = model
        self.column = column
        self.deferred = deferred
        super().__init__(model, column)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self.args, {"deferred": self.deferred}

    def __str__(self) -> str:
        if self.deferred:
            option = f"undefer({self.model}.{self.column})"
            return f"{self.model}.{self.column} wasn't loaded with its row. Add .options({option}) to the query."
        return (
            f"{self.model}.{self.column} isn't loaded, and only the database knows it. Read the row again, or in its "
            "block `await session.refresh(…)` it, before looking."
        )


class ClockWentBack(DomainError):
    """The clock stands further behind the last id than waiting can make up for."""

    def __init__(self, behind: float) -> None:
        self.behind = behind
        super().__init__(behind)

    def __str__(self) -> str:
        return (
            f"the clock went back by {self.behind:.3f} s, so new ids could repeat old ones. "
            "Let time synchronisation finish and try again."
        )


class Unacceptable(DomainError):
    """A value breaks a rule: `field` names it, `reason` says which rule, without the value."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(field, reason)

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class InvalidEmail(Unacceptable):
    """Not an e-mail address."""


class InvalidPhone(Unacceptable):
    """Not a phone number that could be dialled."""


class InvalidText(Unacceptable):
    """A text is empty, too long, or holds a character that can't be stored."""


class InvalidPassword(Unacceptable):
    """A password is too short or too long."""


class WrongPassword(Unacceptable):
    """The account's current password is another one, or it has none."""

    def __init__(self) -> None:
        super().__init__("current", "is not the current password")


class UnknownField(Unacceptable):
    """A change names a field that the model doesn't have, or that can't be changed this way."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "is no field that can be changed")


class ContactMissing(Unacceptable):
    """An account without e-mail address and phone number."""

    def __init__(self) -> None:
        super().__init__("email", "an account needs an e-mail address or a phone number; give one of them")


class IdempotencyKeyReused(DomainError):
    """The key came before, with another body."""

    def __str__(self) -> str:
        return "this Idempotency-Key came before with another body; send a new key with a new request"


class AlreadyTaken(DomainError):
    """Another account, perhaps a deleted one, has this value."""

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
    """The token is missing, unknown, expired or revoked; which of them is not told."""

    def __str__(self) -> str:
        return "a valid access token is needed: send it as `Authorization: Bearer …`"


class NotAllowed(DomainError):
    """The acting user may not do this."""

    def __str__(self) -> str:
        return "the acting user may not do this"


class LoginRefused(DomainError):
    """The account is unknown, deleted, suspended or without password, or the password is wrong; which is not told."""

    def __str__(self) -> str:
        return "no active account has this login and this password"


class RefreshRefused(DomainError):
    """The refresh token is unknown, expired, used before or revoked; which of them is not told."""

    def __str__(self) -> str:
        return "this refresh token doesn't count, or no longer; log in again"


class LastAdmin(DomainError):
    """The change would leave no active admin."""

    def __str__(self) -> str:
        return "this is the last active admin; make another account an admin first"


class TooManyAttempts(DomainError):
    """The rate limit is reached. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(retry_after)

    def __str__(self) -> str:
        return f"too many attempts; try again in {self.retry_after} s"
