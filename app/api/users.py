"""`/v1/users`."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api.dependencies import AdminDep, AdminOrSelfDep, UserServiceDep, admin
from app.api.etag import ExpectedVersionDep, etag
from app.api.identifiers import UserId
from app.api.user_schemas import NewUser, UserBody, UserList, UserPageBody, UserPatch
from domain import User
from domain.errors import NotAllowed

router = APIRouter(prefix="/users", tags=["users"])


@router.post("", status_code=HTTPStatus.CREATED, dependencies=[Depends(admin)])
async def create_user(body: NewUser, users: UserServiceDep, request: Request, response: Response) -> UserBody:
    """Create an account. 409 when another one has the e-mail address or phone number."""
    password = None if body.password is None else body.password.get_secret_value()
    user = await users.create(body.changes(), password=password)
    response.headers["Location"] = request.url_for("get_user", user_id=str(user.id)).path
    return _body(user, response)


@router.get("", dependencies=[Depends(admin)])
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
    user_id: UserId, acting: AdminOrSelfDep, users: UserServiceDep, response: Response, include_deleted: bool = False
) -> UserBody:
    """One account. `include_deleted` is for admins."""
    if include_deleted and not acting.admin:
        raise NotAllowed
    return _body(await users.get(user_id, include_deleted=include_deleted), response)


@router.patch("/{user_id}")
async def update_user(
    user_id: UserId,
    body: UserPatch,
    acting: AdminOrSelfDep,
    users: UserServiceDep,
    version: ExpectedVersionDep,
    response: Response,
) -> UserBody:
    """Change some fields. `role` and `status` are for admins. Needs If-Match."""
    if body.administrative and not acting.admin:
        raise NotAllowed
    return _body(await users.update(user_id, body.changes(), version=version), response)


@router.delete("/{user_id}", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def delete_user(user_id: UserId, _: AdminDep, users: UserServiceDep, version: ExpectedVersionDep) -> Response:
    """Soft-delete an account: it keeps its e-mail address and phone number until it is purged. Needs If-Match."""
    user = await users.delete(user_id, version=version)
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={"ETag": etag(user.version)})


@router.post("/{user_id}/restore")
async def restore_user(
    user_id: UserId, _: AdminDep, users: UserServiceDep, version: ExpectedVersionDep, response: Response
) -> UserBody:
    """Undo a soft delete. Needs If-Match."""
    return _body(await users.restore(user_id, version=version), response)


def _body(user: User, response: Response) -> UserBody:
    response.headers["ETag"] = etag(user.version)
    return UserBody.model_validate(user)
