"""Errors for rows of the accounts that weren't found.

    NotFound                the library's: no such row, or it is soft-deleted
    ├── UserNotFound
    ├── MessageNotFound
    ├── JobNotFound
    ├── LoginNotFound
    └── KeyNotFound

Other errors of DAOs and builders are in `unitwork.errors`.
"""

from unitwork.errors import NotFound


class UserNotFound(NotFound):
    """No account has this id, or it is deleted."""

    def __init__(self, id: object) -> None:
        super().__init__("user", id)

    def __str__(self) -> str:
        if isinstance(self.id, int):
            return super().__str__()
        return "no account has this e-mail address or phone number"


class MessageNotFound(NotFound):
    """No unfinished message has this id."""

    def __init__(self, id: object) -> None:
        super().__init__("message", id)

    def __str__(self) -> str:
        return f"no message with id {self.id} waits: it is done, or there never was one"


class JobNotFound(NotFound):
    """No job has this id."""

    def __init__(self, id: object) -> None:
        super().__init__("job", id)


class LoginNotFound(NotFound):
    """The account has no such login, or it has ended."""

    def __init__(self, id: object) -> None:
        super().__init__("login", id)

    def __str__(self) -> str:
        return "the account has no such login, or it has ended"


class KeyNotFound(NotFound):
    """The account has no such key, or it was revoked."""

    def __init__(self, id: object) -> None:
        super().__init__("key", id)
