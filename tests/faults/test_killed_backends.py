"""Backends are killed under load: units with retry don't notice. 100 are killed in `make storm`."""

from collections.abc import Callable

from containers import Container, running
from settings import Settings
from tests.faults.killings import run_under_kills
from tests.faults.leaks import no_leaks
from tests.faults.ledger import create_ledger
from tests.faults.private_postgresql import PrivatePostgresql


async def test_20_backends_are_killed_and_no_unit_fails(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings]
) -> None:
    async with running(Container(settings=private_settings(pool_size=10, max_overflow=0))) as container:
        await create_ledger(container)
        async with no_leaks(container.engine()):
            casualties = await run_under_kills(container, private_postgresql, 20)
            print(casualties)
        assert not casualties.failed, "\n".join(casualties.failed)
        assert not casualties.wrong, "\n".join(casualties.wrong)
        assert not casualties.unknown, "\n".join(casualties.unknown)


async def test_a_lone_read_on_a_dead_connection_is_answered_by_a_fresh_one(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings]
) -> None:
    async with running(Container(settings=private_settings(pool_size=1, max_overflow=0))) as container:
        await container.schema().upgrade()
        users = container.user_dao()
        database = container.settings().database.url.database or ""
        for _ in range(5):
            assert await users.count().rows() == 0
            for pid in await private_postgresql.backends(database):
                await private_postgresql.terminate(pid)
        assert await users.count().rows() == 0
