"""A server that has stopped answering, and a caller who has set no deadline."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from containers import Container, running
from settings import Settings
from tests.faults.private_postgresql import PrivatePostgresql
from unitwork.errors import ConnectionLost


async def test_a_statement_that_the_server_should_have_ended_is_broken_off(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings]
) -> None:
    async with running(Container(settings=private_settings(statement_timeout=0.5, pool_size=1))) as container:
        begun = 0.0
        with pytest.raises(ConnectionLost):
            async with container.transaction()() as tx:
                private_postgresql.freeze(await tx.session.scalar(text("SELECT pg_backend_pid()")) or 0)
                begun = time.monotonic()
                await tx.session.execute(text("SELECT 1"))
        assert time.monotonic() - begun < 0.5 + 2 + 1, "its own timeout, two looks of ours, and a slow machine"
        assert container.schema().connections_in_use == 0
        private_postgresql.thaw_all()
        async with container.transaction()() as tx:
            assert await tx.session.scalar(text("SELECT 1")) == 1
