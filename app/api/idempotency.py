"""Idempotency-Key: a repeated request creates nothing twice, and gets the answer of the first one."""

import json
import re
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response

from app.api.dependencies import ContainerDep, UserServiceDep
from app.api.errors import MalformedHeader
from app.api.etag import etag
from app.api.user_schemas import UserBody
from domain import User, UserChanges
from services.idempotency import Claim

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class UserCreation:
    """Creates accounts for one request."""

    def __init__(
        self,
        container: ContainerDep,
        users: UserServiceDep,
        request: Request,
        response: Response,
        idempotency_key: Annotated[
            str | None, Header(description="1 to 255 visible characters; kept for 24 hours with the answer")
        ] = None,
    ) -> None:
        self._idempotency = container.idempotency()
        self._users = users
        self._request = request
        self._response = response
        self._key = idempotency_key

    async def __call__(
        self, changes: UserChanges, password: str | None, *, welcome: bool = False, invite: bool = False
    ) -> UserBody:
        """Return the new account, or the one that this key created before; `welcome` is for self-registration,
        `invite` mails an invitation.

        Raises `MalformedHeader`, `IdempotencyKeyReused`, and what `UserService.create` raises.
        """
        answer = await self._idempotency.once(
            await self._claim(),
            lambda: self._users.draft(changes, password=password),
            partial(self._store, welcome=welcome, invite=invite),
        )
        self._response.headers.update(answer["headers"])
        return UserBody.model_validate(answer["body"])

    async def _claim(self) -> Claim | None:
        if self._key is None:
            return None
        if not _KEY.fullmatch(self._key):
            raise MalformedHeader("Idempotency-Key", "1 to 255 visible ASCII characters")
        body = json.dumps(await self._request.json(), sort_keys=True).encode()
        return Claim(self._key, f"{self._request.method} {self._request.url.path}", body)

    async def _store(self, draft: User, *, welcome: bool, invite: bool) -> dict[str, Any]:
        user = await self._users.store(draft, welcome=welcome, invite=invite)
        location = self._request.url_for("get_user", user_id=str(user.id)).path
        body = UserBody.model_validate(user).model_dump(mode="json")
        return {"headers": {"Location": location, "ETag": etag(user.version)}, "body": body}


UserCreationDep = Annotated[UserCreation, Depends()]
