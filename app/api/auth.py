"""`/v1/auth`: register, log in, refresh, log out."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app.api.auth_schemas import Login, Logout, Refresh, Registration, Tokens
from app.api.authentication import bearer_token
from app.api.dependencies import (
    ActingUserDep,
    AuthServiceDep,
    ClientAddressDep,
    RateLimitsDep,
    SettingsDep,
    UserServiceDep,
)
from app.api.idempotency import UserCreationDep
from app.api.mailed_links import Accepted
from app.api.media_type import JsonRoute
from app.api.user_schemas import UserBody

router = APIRouter(prefix="/auth", tags=["auth"], route_class=JsonRoute)


@router.post(
    "/register",
    status_code=HTTPStatus.CREATED,
    response_model=UserBody,
    responses={HTTPStatus.ACCEPTED: {"model": Accepted, "description": "where registration tells nothing"}},
)
async def register(
    body: Registration,
    create: UserCreationDep,
    users: UserServiceDep,
    limits: RateLimitsDep,
    settings: SettingsDep,
) -> UserBody | Response:
    """Create an account of one's own. 409 when another one has the e-mail address or phone number; where registration
    tells nothing (`ACCOUNTS__REGISTRATION_TELLS`), 202 either way.
    """
    for contact in body.contact_keys:
        await limits.hit("register", contact=contact)
    if not settings.accounts.registration_tells:
        await users.register_quietly(body.changes(), password=body.password.get_secret_value())
        return JSONResponse(Accepted().model_dump(), HTTPStatus.ACCEPTED)
    return await create(body.changes(), body.password.get_secret_value(), welcome=True)


@router.post("/login")
async def login(body: Login, auth: AuthServiceDep, address: ClientAddressDep) -> Tokens:
    """Get tokens for a password. Every refusal is the same 401."""
    return Tokens.of(await auth.login(body.login, body.password.get_secret_value(), address=address))


@router.post("/refresh")
async def refresh(body: Refresh, auth: AuthServiceDep) -> Tokens:
    """Get the next tokens for a refresh token, which counts once: used again, it ends the login it belongs to."""
    return Tokens.of(await auth.refresh(body.refresh_token.get_secret_value()))


@router.post("/logout", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def logout(request: Request, auth: AuthServiceDep, body: Logout | None = None) -> None:
    """End the login that a token belongs to, a refresh token or an access token; one that was issued outside a login
    is revoked alone. Without a body it is the bearer token. No error when the token doesn't count anyway.
    """
    secret = bearer_token(request.headers) if body is None else body.refresh_token.get_secret_value()
    if body is None and not secret:
        missing = {"type": "missing", "loc": ("body",), "msg": "give the token, in the body or as the bearer token"}
        raise RequestValidationError([missing])
    await auth.logout(secret)


@router.post("/logout-all", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def logout_all(acting: ActingUserDep, auth: AuthServiceDep) -> None:
    """End every login of the account, this one too."""
    await auth.logout_all(acting.id)
