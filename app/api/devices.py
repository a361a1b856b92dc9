"""`…/sessions`: the logins of an account that are in force, of one's own or, for admins, of any."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict

from app.api.dependencies import AccessServiceDep, ActingTokenDep, ActingUserDep
from app.api.identifiers import UserId
from app.api.media_type import JsonRoute
from domain.login import Login

router = APIRouter(tags=["sessions"], route_class=JsonRoute)

SessionId = Annotated[str, Path(min_length=1, max_length=32, pattern="^[0-9a-f]+$")]


class SessionBody(BaseModel):
    """A login that is in force. `last_used_at` is when it was last refreshed, `address` and `user_agent` are those of
    that request; `current` is true for the one that asks.
    """

    model_config = ConfigDict(from_attributes=True)

    id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None
    current: bool


class SessionList(BaseModel):
    """The logins of an account, last used first."""

    items: list[SessionBody]

    @classmethod
    def of(cls, logins: "list[Login]") -> Self:
        return cls(items=[SessionBody.model_validate(login) for login in logins])


@router.get("/users/me/sessions")
async def list_my_sessions(acting: ActingUserDep, token: ActingTokenDep, access: AccessServiceDep) -> SessionList:
    """Return the logins of one's own account."""
    return SessionList.of(list(await access.logins(acting.id, current=await token())))


@router.delete("/users/me/sessions", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def end_my_other_sessions(acting: ActingUserDep, token: ActingTokenDep, access: AccessServiceDep) -> None:
    """End every other login of one's own account; this one goes on."""
    await access.end_logins(acting.id, keep=await token())


@router.delete("/users/me/sessions/{session_id}", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def end_my_session(session_id: SessionId, acting: ActingUserDep, access: AccessServiceDep) -> None:
    """End one login of one's own account, at once: its tokens don't count any longer."""
    await access.end_login(acting.id, session_id)


@router.get("/users/{user_id}/sessions")
async def list_sessions(user_id: UserId, access: AccessServiceDep) -> SessionList:
    """Return the logins of an account."""
    return SessionList.of(list(await access.logins(user_id)))


@router.delete("/users/{user_id}/sessions", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def end_sessions(user_id: UserId, access: AccessServiceDep) -> None:
    """End every login of an account. Its keys stay."""
    await access.end_logins(user_id)


@router.delete("/users/{user_id}/sessions/{session_id}", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def end_session(user_id: UserId, session_id: SessionId, access: AccessServiceDep) -> None:
    """End one login of an account."""
    await access.end_login(user_id, session_id)
