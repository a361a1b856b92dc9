"""User: an account, with the rules for its values."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, TypedDict

from sqlalchemy import CheckConstraint, Enum, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, validates

from domain.display_name import MAX_LENGTH as DISPLAY_NAME_LENGTH
from domain.display_name import display_name
from domain.email_address import KEY_MAX_LENGTH, MAX_LENGTH, email_address, email_key
from domain.errors import ContactMissing, InvalidText, UnknownField
from domain.locale import MAX_LENGTH as LOCALE_LENGTH
from domain.locale import locale_tag
from domain.phone_number import phone_number
from domain.search_key import GROWTH, search_key
from unitwork.audit import CONFIDENTIAL, DERIVED, Audited
from unitwork.models import Base, ModelMixin, UTCDateTime, keys_of, made_of


class Role(StrEnum):
    USER = "user"
    ADMIN = "admin"


class UserStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Can't log in; its tokens are refused."""


class UserChanges(TypedDict, total=False):
    """The set fields of a PATCH: an absent key is unchanged, None clears."""

    email: str | None
    phone: str | None
    display_name: str | None
    locale: str | None
    role: Role
    status: UserStatus


class User(Audited, ModelMixin, Base):
    """An account. `email_key` and `phone` are unique among all rows, including soft-deleted ones, so that restoring an
    account never conflicts.
    """

    __tablename__ = "users"
    __shown__ = ("id", "role", "status", "version", "deleted_at")
    __table_args__ = (
        UniqueConstraint("email_key"),
        UniqueConstraint("phone"),
        CheckConstraint("email_key IS NOT NULL OR phone IS NOT NULL", name="contact"),
        CheckConstraint(
            "(email IS NULL AND email_key IS NULL) OR (email IS NOT NULL AND email_key IS NOT NULL)",
            name="email_key",
        ),
        Index("ix_users_created_at_id", "created_at", "id"),
    )

    email: Mapped[str | None] = mapped_column(String(MAX_LENGTH))
    email_key: Mapped[str | None] = mapped_column(String(KEY_MAX_LENGTH), info=made_of("email", email_key, needed=True))
    """Derived from the address."""
    email_verified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Moment when its owner has proven the address; None for one that nobody has proven."""
    pending_email: Mapped[str | None] = mapped_column(String(MAX_LENGTH))
    """Address that replaces a proven one, once it is proven itself."""
    phone: Mapped[str | None] = mapped_column(String(16))
    display_name: Mapped[str | None] = mapped_column(String(DISPLAY_NAME_LENGTH))
    name_key: Mapped[str | None] = mapped_column(
        String(DISPLAY_NAME_LENGTH * GROWTH),
        info={DERIVED: True, **made_of("display_name", search_key, needed=False)},
    )
    """The display name's search key; derived from it."""
    role: Mapped[Role] = mapped_column(
        Enum(
            Role,
            native_enum=False,
            length=16,
            validate_strings=True,
            values_callable=lambda roles: [role.value for role in roles],
        ),
        default=Role.USER,
    )
    status: Mapped[UserStatus] = mapped_column(
        Enum(
            UserStatus,
            native_enum=False,
            length=16,
            validate_strings=True,
            values_callable=lambda statuses: [status.value for status in statuses],
        ),
        default=UserStatus.ACTIVE,
    )
    locale: Mapped[str | None] = mapped_column(String(LOCALE_LENGTH))
    """Language tag of mails to the account; None for the configured language."""
    password_hash: Mapped[str | None] = mapped_column(String(255), info={CONFIDENTIAL: True})

    @classmethod
    def create(
        cls,
        changes: UserChanges,
        *,
        password_hash: str | None = None,
        region: str | None = None,
        private_domains: Collection[str] = (),
    ) -> Self:
        """Return a new account, not stored yet. `region` is for phone numbers without country code, `private_domains`
        are non-public domains of e-mail addresses to accept.

        Raises subclasses of `Unacceptable`, each naming its field.
        """
        user = cls(password_hash=password_hash)
        user.change({"email": None, "phone": None} | changes, region=region, private_domains=private_domains)
        return user

    def change(
        self,
        changes: UserChanges,
        *,
        region: str | None = None,
        private_domains: Collection[str] = (),
        prove: bool = False,
    ) -> None:
        """Apply the changes, all or none. With `prove`, another address than a proven one is pending until it is proven
        itself. Raises subclasses of `Unacceptable`, each naming its field.
        """
        for field in changes.keys() - UserChanges.__annotations__.keys():
            raise UnknownField(field)
        email, phone, name = changes.get("email"), changes.get("phone"), changes.get("display_name")
        values: dict[str, object] = {}
        if "email" in changes:
            values["email"] = None if email is None else email_address(email, private_domains=private_domains)
        if "phone" in changes:
            values["phone"] = None if phone is None else phone_number(phone, region=region)
        if "display_name" in changes:
            values["display_name"] = None if name is None else display_name(name)
        if "locale" in changes:
            values["locale"] = None if changes["locale"] is None else locale_tag(changes["locale"])
        if "role" in changes:
            values["role"] = _choice("role", changes["role"], Role)
        if "status" in changes:
            values["status"] = _choice("status", changes["status"], UserStatus)
        if values.get("email", self.email) is None and values.get("phone", self.phone) is None:
            raise ContactMissing
        if "email" in values:
            values |= self._addressed(values["email"], prove=prove)
        for name_, value in values.items():
            if getattr(self, name_) != value:
                setattr(self, name_, value)

    def take_pending(self) -> None:
        """Make the pending address the account's."""
        self.email, self.pending_email = self.pending_email, None

    def _addressed(self, email: Any, *, prove: bool) -> dict[str, object]:
        """Return what changes with the address."""
        key = None if email is None else email_key(email)
        if key == self.email_key:  # another spelling is the same address
            return {"email": email, "pending_email": None}
        if prove and email is not None and self.email_verified_at is not None:
            return {"email": self.email, "pending_email": email}
        return {"email": email, "pending_email": None, "email_verified_at": None}

    @validates("email", "display_name")
    def _keep_its_key(self, field: str, value: str | None) -> str | None:
        for name, key in keys_of(User, {field: value}).items():
            setattr(self, name, key)
        return value

    @property
    def active(self) -> bool:
        """True if the account may log in and its tokens are valid."""
        return not self.deleted and self.status is UserStatus.ACTIVE

    @property
    def admin(self) -> bool:
        """True if the account may administer others."""
        return self.role is Role.ADMIN


def _choice(field: str, value: str | None, choices: type[StrEnum]) -> StrEnum:
    if value is None:
        raise InvalidText(field, "can't be cleared; leave it out to keep it")
    try:
        return choices(value)
    except ValueError:
        raise InvalidText(field, f"is none of: {', '.join(choices)}") from None
