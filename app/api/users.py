"""`/v1/users`: accounts. Access rules are in `app.api.access`."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.account_change import AccountChangeDep, user_body
from app.api.dependencies import ActingUserDep, AuditServiceDep, UserServiceDep
from app.api.etag import PreconditionDep, etag
from app.api.history import HistoryBody, HistoryQuery
from app.api.idempotency import UserCreationDep
from app.api.identifiers import UserId
from app.api.media_type import JsonRoute
from app.api.user_schemas import NewUser, UserBody, UserList, UserPageBody, UserPatch
from domain.errors import NotAllowed

router = APIRouter(prefix="/users", tags=["users"], route_class=JsonRoute)


@router.post("", status_code=HTTPStatus.CREATED)
async def create_user(body: NewUser, create: UserCreationDep) -> UserBody:
    """Create an account. 409 when another one has the e-mail address or phone number."""
    password = None if body.password is None else body.password.get_secret_value()
    return await create(body.changes(), password, invite=body.invite and password is None)


@router.get("")
async def list_users(
    query: Annotated[UserList, Query()], users: UserServiceDep, request: Request, response: Response
) -> UserPageBody:
    """One page of accounts. The header Link names the next one."""
    page = await users.list(
        query.criteria(),
        order=query.sort,
        limit=query.limit,
        cursor=query.cursor,
        include_deleted=query.include_deleted,
        include_total=query.include_total,
    )
    if page.next_cursor is not None:
        url = request.url.include_query_params(cursor=page.next_cursor)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return UserPageBody.of(list(page.items), page.next_cursor, page.total)


@router.get("/{user_id}")
async def get_user(
    user_id: UserId, acting: ActingUserDep, users: UserServiceDep, response: Response, include_deleted: bool = False
) -> UserBody:
    """One account. `include_deleted` is for admins."""
    if include_deleted and not acting.admin:
        raise NotAllowed
    return user_body(await users.get(user_id, include_deleted=include_deleted), response)


@router.get("/{user_id}/history")
async def get_history(user_id: UserId, query: Annotated[HistoryQuery, Query()], audit: AuditServiceDep) -> HistoryBody:
    """Return the changes of an account, newest first. Values of secrets and of purged accounts are not kept."""
    page = await audit.history(user_id, limit=query.limit, cursor=query.cursor)
    return HistoryBody.of(page.items, page.next_cursor)


@router.patch("/{user_id}")
async def update_user(
    user_id: UserId,
    body: UserPatch,
    change: AccountChangeDep,
) -> UserBody:
    """Change some fields. `role` and `status` are for admins. Needs If-Match, and, of one's own account, the current
    password or a fresh login for another e-mail address or phone number, which ends the other logins.
    """
    return await change(user_id, body)


@router.delete("/{user_id}", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def delete_user(user_id: UserId, users: UserServiceDep, condition: PreconditionDep) -> Response:
    """Soft-delete an account: it keeps its e-mail address and phone number until it is purged. Needs If-Match."""
    version = await condition.version(partial(users.get, user_id))
    user = await users.delete(user_id, version=version)
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={"ETag": etag(user.version)})


@router.post("/{user_id}/restore")
async def restore_user(
    user_id: UserId, users: UserServiceDep, condition: PreconditionDep, response: Response
) -> UserBody:
    """Undo a soft delete. Needs If-Match."""
    version = await condition.version(partial(users.get, user_id, include_deleted=True))
    return user_body(await users.restore(user_id, version=version), response)
