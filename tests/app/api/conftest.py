"""Accounts to ask as, besides the admin of `client`."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from containers import Container
from domain import User, UserChanges
from tests.app.api.mailbox import mailbox, set_options  # noqa: F401 - fixtures
from unitwork.models import SYSTEM, acting_as

SignIn = Callable[[UserChanges], Awaitable[tuple[User, dict[str, str]]]]
Create = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def sign_in(container: Container) -> SignIn:
    """Create an account and give it with the headers that authenticate it."""

    async def sign_in(changes: UserChanges) -> tuple[User, dict[str, str]]:
        with acting_as(SYSTEM):
            user = await container.user_service().create(changes)
            _, secret = await container.auth_service().issue(user.id)
        return user, {"Authorization": f"Bearer {secret}"}

    return sign_in


@pytest.fixture
def create(client: httpx2.AsyncClient) -> Create:
    """Create an account over HTTP and give its body."""

    async def create(**body: Any) -> dict[str, Any]:
        response = await client.post("/v1/users", json=body)
        assert response.status_code == 201, response.text
        user: dict[str, Any] = response.json()
        return user

    return create


@pytest.fixture
def anyone(client: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """Nobody in particular: the admin exists, and doesn't ask."""
    del client.headers["Authorization"]
    return client
