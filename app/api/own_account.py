"""`/v1/users/me`: one's own account. Its routes come before those with an id."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from app.api.account_change import AccountChangeDep, user_body
from app.api.auth_schemas import PasswordChange
from app.api.dependencies import ActingUserDep, AuthServiceDep, ClientAddressDep
from app.api.media_type import JsonRoute
from app.api.user_schemas import UserBody, UserPatch

router = APIRouter(prefix="/users/me", tags=["users"], route_class=JsonRoute)


@router.get("")
async def get_me(acting: ActingUserDep, response: Response) -> UserBody:
    """One's own account."""
    return user_body(acting, response)


@router.patch("")
async def update_me(body: UserPatch, acting: ActingUserDep, change: AccountChangeDep) -> UserBody:
    """Change some fields of one's own account. `role` and `status` are for admins. Needs If-Match, and the current
    password or a fresh login for another e-mail address or phone number, which ends the other logins.
    """
    return await change(acting.id, body)


@router.post("/password", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def change_password(
    body: PasswordChange, acting: ActingUserDep, auth: AuthServiceDep, address: ClientAddressDep
) -> None:
    """Set a new password, and end every login of the account, this one too."""
    current, new = body.current.get_secret_value(), body.new.get_secret_value()
    await auth.change_password(acting.id, current, new, address=address)
