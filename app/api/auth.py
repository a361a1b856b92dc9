"""`/v1/auth`: register, log in, refresh, log out."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from app.api.auth_schemas import Login, Refresh, Registration, Tokens
from app.api.dependencies import ActingUserDep, AuthServiceDep, ClientAddressDep, RateLimitsDep
from app.api.idempotency import UserCreationDep
from app.api.user_schemas import UserBody

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/register", status_code=HTTPStatus.CREATED)
async def register(
    body: Registration,
    create: UserCreationDep,
    limits: RateLimitsDep,
    address: ClientAddressDep,
) -> UserBody:
    """Create an account of one's own. 409 when another one has the e-mail address or phone number."""
    await limits.hit("register", account=body.account, address=address)
    return await create(body.changes(), body.password.get_secret_value(), welcome=True)


@router.post("/login")
async def login(body: Login, auth: AuthServiceDep, address: ClientAddressDep) -> Tokens:
    """Get tokens for a password. Every refusal is the same 401."""
    return Tokens.of(await auth.login(body.login, body.password.get_secret_value(), address=address))


@router.post("/refresh")
async def refresh(body: Refresh, auth: AuthServiceDep, address: ClientAddressDep) -> Tokens:
    """Get the next tokens for a refresh token, which counts once: used again, it ends the login it belongs to."""
    return Tokens.of(await auth.refresh(body.refresh_token.get_secret_value(), address=address))


@router.post("/logout", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def logout(body: Refresh, auth: AuthServiceDep) -> None:
    """End the login that a refresh token belongs to. No error when there is none."""
    await auth.logout(body.refresh_token.get_secret_value())


@router.post("/logout-all", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def logout_all(acting: ActingUserDep, auth: AuthServiceDep) -> None:
    """End every login of the account, this one too."""
    await auth.logout_all(acting.id)
