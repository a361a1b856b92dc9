"""50 users interleaved, over HTTP and in background tasks; in workers it is `storm_worker_tasks.py`."""

import asyncio
from functools import partial

import httpx2
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.api import create_app
from app.background import BackgroundTasks
from containers import Container
from domain import Role, User
from unitwork.models import SYSTEM, acting_as

USERS = 50
EACH = 20


async def test_whose_name_stands_in_the_rows(container: Container, session: AsyncSession) -> None:
    secrets: list[tuple[int, str]] = []
    with acting_as(SYSTEM):
        for number in range(USERS):
            admin = await container.user_service().create({"email": f"admin{number}@example.com", "role": Role.ADMIN})
            _, secret = await container.auth_service().issue(admin.id)
            secrets.append((admin.id, secret))
    app = create_app(container)
    async with (
        BackgroundTasks(limit=USERS * EACH) as background,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client,
    ):
        places = asyncio.Semaphore(10)

        async def create(email: str) -> None:
            await container.user_service().create({"email": email})

        async def post(author: int, secret: str, number: int) -> None:
            async with places:
                headers = {"Authorization": f"Bearer {secret}"}
                body = {"email": f"by{author}.http{number}@example.com"}
                response = await client.post("/v1/users", json=body, headers=headers)
                assert response.status_code == 201, response.text

        requests = []
        for number in range(EACH):
            for author, secret in secrets:
                with acting_as(author):
                    background.start("create", partial(create, f"by{author}.background{number}@example.com"))
                requests.append(post(author, secret, number))
        await asyncio.gather(*requests)
    users = [user for user in await session.scalars(select(User)) if (user.email or "").startswith("by")]
    assert len(users) == 2 * USERS * EACH
    columns = [(author, user.email or "") for user in users for author in (user.created_by, user.updated_by)]
    wrong = [(author, email) for author, email in columns if not email.startswith(f"by{author}.")]
    print(f"{len(wrong)} of {len(columns)} audit columns wrong, over HTTP and in background tasks of {USERS} users")
    assert wrong == []
