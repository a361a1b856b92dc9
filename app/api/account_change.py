"""AccountChange: the PATCH of an account, shared by `/users/me` and `/users/{user_id}`."""

from functools import partial
from typing import Annotated

from fastapi import Depends, Response

from app.api.dependencies import ActingTokenDep, ActingUserDep, AuthServiceDep, ClientAddressDep, UserServiceDep
from app.api.etag import PreconditionDep, etag
from app.api.user_schemas import UserBody, UserPatch
from domain import User
from domain.errors import NotAllowed


class AccountChange:
    """Changes an account for one request."""

    def __init__(
        self,
        acting: ActingUserDep,
        token: ActingTokenDep,
        users: UserServiceDep,
        auth: AuthServiceDep,
        address: ClientAddressDep,
        condition: PreconditionDep,
        response: Response,
    ) -> None:
        self._acting = acting
        self._token = token
        self._users = users
        self._auth = auth
        self._address = address
        self._condition = condition
        self._response = response

    async def __call__(self, user_id: int, body: UserPatch) -> UserBody:
        """Apply the changes and return the account. Raises `NotAllowed` for fields that only admins may change, and
        what `AuthService.confirm` raises for contacts of one's own account.
        """
        if body.administrative and not self._acting.admin:
            raise NotAllowed
        version = await self._condition.version(partial(self._users.get, user_id))
        keep, confirmed = None, user_id != self._acting.id
        if not confirmed and body.contacts_differ(self._acting):
            keep = await self._token()
            current = None if body.current_password is None else body.current_password.get_secret_value()
            await self._auth.confirm(user_id, keep, current, address=self._address)
            confirmed = True
        user = await self._users.update(
            user_id,
            body.changes(),
            version=version,
            keep=keep,
            confirmed=confirmed,
            prove=user_id == self._acting.id,
        )
        return user_body(user, self._response)


AccountChangeDep = Annotated[AccountChange, Depends()]


def user_body(user: User, response: Response) -> UserBody:
    """Return the account as the body of an answer, and set its ETag."""
    response.headers["ETag"] = etag(user.version)
    return UserBody.model_validate(user)
