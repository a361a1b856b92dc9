"""Schemas of users in HTTP. Input and output are different models: input has no fields that can't be set."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self, cast

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from app.api.identifiers import IdText
from domain import Role, User, UserChanges, UserStatus
from domain.contact_key import contact_key
from domain.errors import Unacceptable
from domain.phone_number import searched_phone
from domain.search_key import search_key
from repositories import UserFilter


class UserSort(StrEnum):
    """The orders a list can have; `-` is descending."""

    CREATED_AT = "created_at"
    CREATED_AT_DESC = "-created_at"
    UPDATED_AT = "updated_at"
    UPDATED_AT_DESC = "-updated_at"
    EMAIL = "email"
    EMAIL_DESC = "-email"
    DISPLAY_NAME = "display_name"
    DISPLAY_NAME_DESC = "-display_name"
    ID = "id"
    ID_DESC = "-id"


def utc(value: datetime) -> datetime:
    """Return the moment in UTC. Raises ValueError if it is outside the range of datetime there."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        msg = "is beyond the calendar"
        raise ValueError(msg) from None


def storable(value: str) -> str:
    """Return the text. Raises ValueError for text that no database can store, and so none can be queried for."""
    if "\0" in value:
        msg = "holds U+0000, which no stored text holds; remove it"
        raise ValueError(msg)
    return value


def _phone(value: str) -> str:
    # A "+" that was not percent-encoded arrives as a space.
    try:
        return searched_phone(f"+{value.strip().removeprefix('+')}")
    except Unacceptable as refusal:
        raise ValueError(refusal.reason) from None


def _findable(value: str) -> str:
    if not search_key(value):
        msg = "holds nothing that a name could be found by"
        raise ValueError(msg)
    return value


SearchText = Annotated[str, Field(min_length=1, max_length=254), AfterValidator(storable)]


class UserList(BaseModel):
    """The query of `GET /v1/users`."""

    model_config = ConfigDict(extra="forbid")

    email: SearchText | None = Field(default=None, description="the whole address, in any spelling of it")
    phone: Annotated[SearchText, AfterValidator(_phone)] | None = Field(default=None, description="E.164")
    name: Annotated[SearchText, AfterValidator(_findable)] | None = Field(
        default=None, description="part of the display name, in any case and accents"
    )
    status: UserStatus | None = None
    created_after: Annotated[AwareDatetime, AfterValidator(utc)] | None = None
    sort: UserSort = UserSort.CREATED_AT_DESC
    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=4096)
    include_total: bool = False
    include_deleted: bool = False

    def criteria(self) -> UserFilter:
        return UserFilter(self.email, self.phone, self.name, self.status, self.created_after)


class UserContacts(BaseModel):
    """Fields of an account that its owner may set: an absent field is unchanged, null clears."""

    model_config = ConfigDict(extra="forbid")

    email: str | None = Field(default=None, max_length=1000)
    phone: str | None = Field(default=None, max_length=100)
    display_name: str | None = Field(default=None, max_length=1000)
    locale: str | None = Field(default=None, max_length=100, description="language of mails: de, de-AT, zh-Hant-TW")

    def changes(self) -> UserChanges:
        return cast(
            "UserChanges", self.model_dump(exclude_unset=True, exclude={"password", "current_password", "invite"})
        )

    @property
    def contact_keys(self) -> list[str]:
        """The one spelling of each given contact, under which attempts are counted."""
        return [contact_key(contact) for contact in (self.email, self.phone) if contact is not None]


class AccountFields(UserContacts):
    """Fields that an admin may set: the owner's, `role` and `status`."""

    # `model_fields_set` distinguishes absent from null; null is refused, as neither field can be cleared.
    role: Role = Field(default_factory=lambda: Role.USER)
    status: UserStatus = Field(default_factory=lambda: UserStatus.ACTIVE)

    @property
    def administrative(self) -> bool:
        """True when it changes a field that only admins may change."""
        return not self.model_fields_set.isdisjoint({"role", "status"})


class UserPatch(AccountFields):
    """The changes of a PATCH: an absent field is unchanged, null clears. `role` and `status` are for admins. Of one's
    own account, another e-mail address or phone number needs `current_password`, or a login that has just begun.
    """

    current_password: SecretStr | None = Field(default=None, description="one's own, not stored by this")

    def contacts_differ(self, user: User) -> bool:
        """True when the change gives the account another e-mail address or phone number."""
        given = self.model_fields_set
        email = "email" in given and self.email != user.email
        phone = "phone" in given and (None if self.phone is None else contact_key(self.phone)) != user.phone
        return email or phone


class NewUser(AccountFields):
    """An account to create; it needs an e-mail address or a phone number (with country code)."""

    password: SecretStr | None = Field(default=None, description="8 characters to 1024 bytes; absent: no login")
    invite: bool = Field(default=False, description="mail an invitation by which its reader chooses the password")


class UserBody(BaseModel):
    """An account."""

    model_config = ConfigDict(from_attributes=True)

    id: IdText
    email: str | None
    email_verified_at: datetime | None
    pending_email: str | None
    phone: str | None
    display_name: str | None
    locale: str | None
    role: Role
    status: UserStatus
    version: int
    created_at: datetime
    created_by: IdText
    updated_at: datetime
    updated_by: IdText
    deleted_at: datetime | None


class UserPageBody(BaseModel):
    """One page of accounts. `total` is there when asked for."""

    items: list[UserBody]
    next_cursor: str | None
    has_more: bool
    total: int | None = None

    @model_serializer(mode="wrap")
    def _total_when_asked(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        body: dict[str, Any] = serialize(self)
        if self.total is None:
            del body["total"]
        return body

    @classmethod
    def of(cls, items: list[User], next_cursor: str | None, total: int | None) -> Self:
        bodies = [UserBody.model_validate(user) for user in items]
        return cls(items=bodies, next_cursor=next_cursor, has_more=next_cursor is not None, total=total)
