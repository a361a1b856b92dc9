"""A PostgreSQL database for the length of a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import URL, make_url

from unitwork.testing import postgresql_server
from unitwork.testing.servers.postgresql import POSTGRESQL_URL, drop, on_server, url_of


@contextmanager
def bench_database() -> Iterator[URL]:
    """An empty one, gone afterwards, on the server of `GATEHOUSE_TEST_POSTGRESQL_URL`, else on one of our own."""
    given = os.environ.get(POSTGRESQL_URL) or os.environ.get("GATEHOUSE_TEST_POSTGRESQL_URL")
    with nullcontext(given) if given else postgresql_server() as server:
        os.environ[POSTGRESQL_URL] = server
        name = f"gatehouse_test_bench_{os.getpid()}"
        on_server(lambda connection: connection.execute(f'CREATE DATABASE "{name}"'))
        try:
            yield make_url(url_of(name)).set(drivername="postgresql")
        finally:
            drop(name)


def server_version() -> str:
    """As the server says it."""
    return str(on_server(lambda connection: connection.fetchval("SHOW server_version"))).split()[0]
