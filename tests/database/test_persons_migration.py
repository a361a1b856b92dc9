"""Migration 0008: what is there already gets when its login began, and whom its answer tells of; and the way back."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from containers import Container, running
from domain import IdempotencyKey, Job, Token, User
from settings import Settings
from unitwork.models import SYSTEM, acting_as, utc_now
from unitwork.testing.servers.databases import Databases

BEFORE = "0007"


@pytest.fixture
def empty_url(databases: Databases, backend: str) -> Iterator[str]:
    """A database without a table."""
    url = databases.create(backend, migrated=False)
    yield url
    databases.drop(url)


async def rows(engine: AsyncEngine, sql: str) -> list[Any]:
    async with engine.connect() as connection:
        return list((await connection.execute(text(sql))).all())


async def test_what_is_there_already_is_taken_over_and_the_way_back_is_open(empty_url: str) -> None:
    async with running(Container(settings=Settings(database={"url": empty_url}, node_id=1))) as container:
        schema = container.schema()
        await schema.upgrade()
        assert await schema.current() == schema.head
        begun = utc_now() - timedelta(days=3)
        with acting_as(SYSTEM):
            user = await container.user_dao().add(User.create({"email": "ada@example.com"}))
            tokens = [Token.issue(user.id, lifetime=timedelta(days=9), family=family)[0] for family in ("a", "a", None)]
            await container.token_dao().add_many(tokens)
            async with container.transaction()() as transaction:
                first = update(Token).where(Token.id == tokens[0].id).values(created_at=begun)
                await transaction.session.execute(first)
            for key, answer in (("1", {"body": {"id": str(user.id)}}), ("2", {"body": None}), ("3", {})):
                await container.idempotency_dao().add(IdempotencyKey(scope=key, request_digest=key, answer=answer))
            await container.job_dao().add(Job(kind="users.import", position=1 << 40))
            await container.auth_service().issue(user.id)
        assert await rows(container.engine(), "SELECT 1 FROM audit_entries WHERE event IS NOT NULL")
        await schema.downgrade(BEFORE)
        assert await schema.current() == BEFORE, "told without the view"
        assert await rows(container.engine(), "SELECT position FROM jobs") == [((1 << 31) - 1,)]
        assert not await rows(container.engine(), "SELECT 1 FROM audit_entries WHERE action = 'event'")
        await schema.upgrade()
        assert await schema.differences() == []
        stored = {token.id: token for token in await container.token_dao().query().all()}
        assert [stored[token.id].logged_in_at for token in tokens[:2]] == [begun, begun]
        assert stored[tokens[2].id].logged_in_at == stored[tokens[2].id].created_at
        keys = await container.idempotency_dao().query().order_by("scope").all()
        assert [key.record_id for key in keys] == [user.id, None, None]
