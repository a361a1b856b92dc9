"""`…/keys`: keys of programs; and `/v1/auth/introspect`, by which other services ask about a token (RFC 7662)."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, SerializerFunctionWrapHandler, model_serializer

from app.api.authentication import bearer_token
from app.api.dependencies import AccessServiceDep, ActingTokenDep, ActingUserDep, AuthServiceDep, ClientAddressDep
from app.api.identifiers import IdText, UserId
from app.api.media_type import FormRoute, JsonRoute
from domain import Token
from domain.key import NEVER, Scope
from services.access_service import Introspected

router = APIRouter(tags=["keys"], route_class=JsonRoute)
introspection_router = APIRouter(tags=["keys"], route_class=FormRoute)

MAX_DAYS = 3650


class NewKey(BaseModel):
    """A key to make: what it is for, what it may do, and for how long; null is until it is revoked."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=1000)
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    expires_in_days: int | None = Field(default=None, ge=1, le=MAX_DAYS)

    @property
    def lifetime(self) -> timedelta | None:
        return None if self.expires_in_days is None else timedelta(days=self.expires_in_days)


class NewOwnKey(NewKey):
    """A key to make for one's own account. It needs the current password, or a login that has just begun."""

    current_password: SecretStr | None = None


class KeyBody(BaseModel):
    """A key, without its secret."""

    id: IdText
    name: str
    scopes: list[str]
    service: bool
    created_at: datetime
    created_by: IdText
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, key: Token) -> Self:
        return cls(**key_facts(key))


class KeyWithSecret(KeyBody):
    """A new key. Its secret is shown here and never again."""

    secret: str


class KeyList(BaseModel):
    """The keys of an account that are valid, oldest first."""

    items: list[KeyBody]


class Introspection(BaseModel):
    """Description of a token (RFC 7662); of an invalid one `active` alone. `role` is the account's."""

    active: bool
    sub: str | None = None
    scope: str | None = None
    token_type: Literal["Bearer"] | None = None
    iat: int | None = None
    exp: int | None = None
    role: str | None = None

    @model_serializer(mode="wrap")
    def _known_facts(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        body: dict[str, Any] = serialize(self)
        return {name: value for name, value in body.items() if value is not None}

    @classmethod
    def of(cls, found: Introspected | None) -> Self:
        if found is None:
            return cls(active=False)
        return cls(
            active=True,
            sub=str(found.user.id),
            scope=found.scope,
            token_type="Bearer",  # noqa: S106 - a scheme
            iat=int(found.token.created_at.timestamp()),
            exp=None if found.expires_at is None else int(found.expires_at.timestamp()),
            role=found.user.role,
        )


def key_facts(key: Token) -> dict[str, Any]:
    """Return what may be shown of a key."""
    return {
        "id": str(key.id),
        "name": key.name or "",
        "scopes": (key.scopes or "").split(),
        "service": key.service,
        "created_at": key.created_at,
        "created_by": str(key.created_by),
        "expires_at": None if key.expires_at >= NEVER else key.expires_at,
        "last_used_at": key.last_used_at,
    }


@introspection_router.post("/auth/introspect")
async def introspect(
    request: Request,
    access: AccessServiceDep,
    token: Annotated[str, Form(max_length=1000)],
    token_type_hint: Annotated[str | None, Form(max_length=100, description="taken, and not needed")] = None,  # noqa: ARG001 - RFC 7662 has it
) -> Introspection:
    """Tell whether an access token or a key is valid, and whose it is. For admins, and keys with the scope
    `introspect`.
    """
    return Introspection.of(await access.introspect(bearer_token(request.headers), token))


@router.get("/users/me/keys")
async def list_my_keys(acting: ActingUserDep, access: AccessServiceDep) -> KeyList:
    """Return the keys of one's own account."""
    return KeyList(items=[KeyBody.of(key) for key in await access.keys(acting.id)])


@router.post("/users/me/keys", status_code=HTTPStatus.CREATED)
async def create_my_key(
    body: NewOwnKey,
    acting: ActingUserDep,
    token: ActingTokenDep,
    auth: AuthServiceDep,
    access: AccessServiceDep,
    address: ClientAddressDep,
) -> KeyWithSecret:
    """Make a key of one's own account. Needs the current password or a fresh login."""
    current = None if body.current_password is None else body.current_password.get_secret_value()
    await auth.confirm(acting.id, await token(), current, address=address)
    key, secret = await access.issue_key(acting.id, name=body.name, scopes=body.scopes, lifetime=body.lifetime)
    return KeyWithSecret(**key_facts(key), secret=secret)


@router.delete("/users/me/keys/{key_id}", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def revoke_my_key(key_id: UserId, acting: ActingUserDep, access: AccessServiceDep) -> None:
    """Revoke a key of one's own account, at once."""
    await access.revoke_key(acting.id, key_id)


@router.get("/users/{user_id}/keys")
async def list_keys(user_id: UserId, access: AccessServiceDep) -> KeyList:
    """Return the keys of an account."""
    return KeyList(items=[KeyBody.of(key) for key in await access.keys(user_id)])


@router.post("/users/{user_id}/keys", status_code=HTTPStatus.CREATED)
async def create_service_key(user_id: UserId, body: NewKey, access: AccessServiceDep) -> KeyWithSecret:
    """Make a service key, which acts for the account and outlives its logins and passwords."""
    key, secret = await access.issue_key(
        user_id, name=body.name, scopes=body.scopes, lifetime=body.lifetime, service=True
    )
    return KeyWithSecret(**key_facts(key), secret=secret)


@router.delete("/users/{user_id}/keys/{key_id}", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def revoke_key(user_id: UserId, key_id: UserId, access: AccessServiceDep) -> None:
    """Revoke a key of an account, at once."""
    await access.revoke_key(user_id, key_id)
