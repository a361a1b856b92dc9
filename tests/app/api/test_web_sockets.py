"""A WebSocket is authenticated and authorised as a request is: nothing else guards it."""

from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from app.api.access import Access, access_table
from app.api.dependencies import ActingUserDep
from containers import Container
from tests.app.api.conftest import SignIn
from unitwork.models import acting_as, acting_user_id

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
Messages = list[MutableMapping[str, Any]]


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """With a WebSocket for each kind of caller, which tells who is acting."""

    async def who(socket: WebSocket, acting: ActingUserDep) -> None:
        await socket.accept()
        assert acting.id == acting_user_id()
        await socket.send_text(str(acting_user_id()))

    async def own(socket: WebSocket, user_id: int) -> None:
        await socket.accept()

    async def forgotten(socket: WebSocket) -> None:
        pytest.fail("the table has no line for it")

    for path, endpoint, access in (
        ("/v1/live", who, Access.BEARER),
        ("/v1/live/admins", who, Access.ADMIN),
        ("/v1/live/{user_id}", own, Access.ADMIN_OR_SELF),
    ):
        app.add_api_websocket_route(path, endpoint)
        access_table(app).add(f"WEBSOCKET {path}", access)
    app.add_api_websocket_route("/v1/forgotten", forgotten)
    app.add_api_websocket_route("/forgotten", forgotten)
    return app


async def connect(app: FastAPI, path: str, headers: dict[str, str], **extensions: Any) -> Messages:
    """What the server sends until it has answered."""
    sent: Messages = []
    received = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])

    async def receive() -> Any:
        return next(received)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "scheme": "ws", "subprotocols": [], "extensions": extensions, "client": ("127.0.0.1", 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    with suppress(StopIteration):
        await app(scope, receive, send)
    return sent


def kinds(messages: Messages) -> list[Any]:
    return [(message["type"], message.get("code") or message.get("text")) for message in messages]


async def test_a_socket_has_its_acting_user(app: FastAPI, sign_in: SignIn) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    sent = await connect(app, "/v1/live", headers)
    assert kinds(sent)[:2] == [("websocket.accept", None), ("websocket.send", str(user.id))]


@pytest.mark.parametrize("path", ["/v1/live", "/v1/live/admins", "/v1/live/1", "/v1/forgotten", "/v1/nothing"])
async def test_a_socket_without_a_token_that_counts_is_closed_before_it_is_accepted(app: FastAPI, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer gh_unknown"}, {"Authorization": "Basic x"}):
        assert kinds(await connect(app, path, headers)) == [("websocket.close", 1008)]


async def test_a_socket_for_others_is_closed_before_it_is_accepted(app: FastAPI, sign_in: SignIn) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    for path in ("/v1/live/admins", "/v1/live/1"):
        assert kinds(await connect(app, path, headers)) == [("websocket.close", 1008)]
    assert kinds(await connect(app, f"/v1/live/{user.id}", headers))[0] == ("websocket.accept", None)


async def test_a_socket_that_the_table_does_not_have_is_for_nobody(
    app: FastAPI, admin_token: str, sign_in: SignIn
) -> None:
    for path in ("/v1/forgotten", "/forgotten"):
        sent = await connect(app, path, {"Authorization": f"Bearer {admin_token}"})
        assert ("websocket.accept", None) not in kinds(sent)


async def test_a_refused_socket_gets_a_problem_document_where_the_server_can(app: FastAPI) -> None:
    extension: dict[str, Any] = {"websocket.http.response": {}}
    sent = await connect(app, "/v1/live", {}, **extension)
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 401
    assert b'"not_authenticated"' in sent[1]["body"]


async def test_a_revoked_token_opens_no_socket(app: FastAPI, container: Container, sign_in: SignIn) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    with acting_as(user.id):
        await container.auth_service().logout_all(user.id)
    assert kinds(await connect(app, "/v1/live", headers)) == [("websocket.close", 1008)]
