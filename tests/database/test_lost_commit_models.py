"""The answer to a COMMIT is lost on PostgreSQL: what models show afterwards."""

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import User
from tests.database.test_lost_commit import SOON, container, pytestmark, relay, relayed
from tests.faults.relay import COMMIT, Moment, Relay
from unitwork import Retry, execute_transaction
from unitwork.errors import ColumnNotLoaded, CommitOutcomeUnknown
from unitwork.models import SYSTEM, acting_as

__all__ = ["container", "pytestmark", "relay", "relayed"]


async def _store_and_lose_the_answer(container: Container, moment: Moment, relay: Relay, retry: Retry | None) -> Any:
    """A read model, a changed one and a new one of the first attempt."""
    attempts: list[tuple[User, User, User]] = []
    users = container.user_dao()
    with acting_as(SYSTEM):
        names = [User.create({"email": f"{name}@example.com", "display_name": name}) for name in ("read", "changed")]
        ids = [row.id for row in await users.add_many(names)]

        async def work(session: AsyncSession) -> None:
            read, changed = [await session.get_one(User, one) for one in ids]
            changed.display_name = "stored"
            new = User.create({"email": "new@example.com", "display_name": "new"})
            session.add(new)
            attempts.append((read, changed, new))

        relay.cut_at(COMMIT, moment)
        with suppress(CommitOutcomeUnknown):
            await execute_transaction(container.transaction(), work, retry=retry)
    return attempts[0]


async def test_models_show_what_was_stored_once_that_is_known(with_tables: Container, relay: Relay) -> None:
    read, changed, new = await _store_and_lose_the_answer(with_tables, Moment.AFTER, relay, SOON)
    assert (read.display_name, changed.display_name, changed.version) == ("read", "stored", 2)
    assert inspect(new).detached
    new.display_name = "newer"
    with acting_as(SYSTEM):
        await with_tables.user_dao().add(new)
    assert new.version == 2


async def test_models_show_what_was_loaded_once_it_is_known_that_nothing_was_stored(
    with_tables: Container, relay: Relay
) -> None:
    read, changed, new = await _store_and_lose_the_answer(with_tables, Moment.BEFORE, relay, SOON)
    assert (read.display_name, changed.display_name, changed.version) == ("read", "changed", 1)
    assert (new.display_name, inspect(new).transient) == ("new", True)


async def test_models_refuse_to_tell_what_nobody_knows(with_tables: Container, relay: Relay) -> None:
    read, changed, new = await _store_and_lose_the_answer(with_tables, Moment.BEFORE, relay, None)
    assert (read.display_name, changed.email, new.display_name) == ("read", "changed@example.com", "new")
    assert inspect(changed).identity == (changed.id,)
    for column in ("display_name", "version", "updated_at"):
        with pytest.raises(ColumnNotLoaded, match=f"User.{column}"):
            getattr(changed, column)
