"""A worker outlives a migration: what was prepared before it goes again, and is done once."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from containers import Container, running
from settings import Settings
from tests.app.worker.application import EFFECT
from tests.app.worker.brokers import broker_variables
from tests.app.worker.processes import sender, worker
from tests.patience import until
from unitwork import execute_transaction
from unitwork.models import SYSTEM, acting_as

pytestmark = [pytest.mark.database("own"), pytest.mark.parametrize("backend", ["postgresql"], indirect=True)]

_TYPES: Final = """
ALTER TABLE users ALTER COLUMN display_name TYPE varchar({0}), ALTER COLUMN email TYPE varchar({0}),
    ALTER COLUMN version TYPE {1};
ALTER TABLE outbox_messages ALTER COLUMN topic TYPE varchar({0});
ALTER TABLE audit_entries ALTER COLUMN action TYPE varchar({0})"""
_COLUMNS: Final = """
ALTER TABLE users ADD COLUMN display_name_{0} varchar(200); UPDATE users SET display_name_{0} = display_name;
ALTER TABLE users DROP COLUMN display_name; ALTER TABLE users RENAME COLUMN display_name_{0} TO display_name"""
_numbers = itertools.count()
CHANGES: Final = ("types", "columns", "DISCARD ALL", "DEALLOCATE ALL")


@pytest.mark.timeout(300)
async def test_tasks_and_messages_go_again_and_are_done_once(
    settings: Settings, container: Container, database_url: str, tmp_path: Path
) -> None:
    with broker_variables("embedded") as variables:
        variables |= {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
        queue = {"queue": variables["GATEHOUSE_WORKER__QUEUE"]}
        here = settings.model_copy(update={"worker": settings.worker.model_validate(queue)})
        elsewhere = await asyncpg.connect(database_url)
        with worker(tmp_path, "--pool=solo", **variables) as process:
            async with relaying(here) as client:
                with sender(client.broker()) as celery:
                    for kind, change in itertools.product((a_task, a_message), CHANGES):
                        await kind(client, celery)  # what it sends is prepared now
                        if change in {"types", "columns"}:
                            await elsewhere.execute(changed(change, next(_numbers)))
                        else:
                            assert await a_task(client, celery, "test.forget", change)
                        await kind(client, celery)
            process.end()
        log = process.log.read_text()
        await elsewhere.close()
    assert re.search(r"Task test\.unit\S+ retry: .*StatementOutdated", log)
    assert "raised unexpected" not in log
    names = Counter(user.display_name or user.email for user in await container.user_dao().query().all())
    assert set(names.values()) == {1}
    assert names.total() == 2 * 2 * len(CHANGES)
    assert (await container.outbox_service().lag()).parked == 0


def changed(what: str, number: int) -> str:
    wide = "bigint" if number % 2 else "integer"
    return _TYPES.format(600 + number, wide) if what == "types" else _COLUMNS.format(number)


@asynccontextmanager
async def relaying(settings: Settings) -> AsyncIterator[Container]:
    async with running(Container(settings=settings)) as client:
        with acting_as(SYSTEM):
            relay = asyncio.create_task(client.outbox_relay().run())
        yield client
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay


async def a_message(client: Container, celery: Any) -> None:
    """One whose handler stores an account in a transaction."""
    with acting_as(SYSTEM):
        append = partial(client.outbox_service().append, EFFECT, {"name": f"message {next(_numbers)}"})
        message = await execute_transaction(client.transaction(), lambda _session: append(), retry=3)

    async def handled() -> bool:
        return bool(await client.inbox_dao().done([message.id]))

    await until(handled, within=60, pause=0.1)


async def a_task(_client: Container, celery: Any, name: str = "test.unit", argument: str = "") -> Any:
    """One that stores an account, where no other is named; what it returns."""
    argument = argument or f"{next(_numbers)}@example.com"
    return await asyncio.to_thread(lambda: celery.send_task(name, [argument]).get(timeout=60))
