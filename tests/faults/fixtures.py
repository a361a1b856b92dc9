"""A PostgreSQL that may be hurt, and a database on it for each test."""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.testing.plugin import PREFIX
from settings import Settings
from tests.faults.private_postgresql import PrivatePostgresql
from tests.faults.standby import Standby

_numbers = itertools.count()


@pytest.fixture(scope="session")
def _private_server() -> Iterator[PrivatePostgresql]:
    with PrivatePostgresql() as server:
        yield server


@pytest.fixture
def private_postgresql(_private_server: PrivatePostgresql) -> Iterator[PrivatePostgresql]:
    """One for the session; each test finds it running and with nothing frozen."""
    yield _private_server
    _private_server.thaw_all()
    _private_server.start()


@pytest.fixture
def private_settings(private_postgresql: PrivatePostgresql, tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    """Settings over an empty database on the private server; takes what differs in the section `database`."""
    name = f"{PREFIX}{os.getpid()}_fault_{next(_numbers)}"
    asyncio.run(private_postgresql.ask(f'CREATE DATABASE "{name}"'))

    def settings(**database: object) -> Settings:
        section = {"url": private_postgresql.url(name), **database}
        return Settings.model_validate({"database": section, "var_dir": tmp_path, "node_id": 4095})

    yield settings
    private_postgresql.thaw_all()
    private_postgresql.start()
    asyncio.run(private_postgresql.ask(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


@dataclass(frozen=True)
class Pair:
    """A primary, and a standby that follows it until a test promotes it."""

    primary: PrivatePostgresql
    standby: Standby


@pytest.fixture
def pair() -> Iterator[Pair]:
    """One for each test, as a standby is promoted once."""
    with PrivatePostgresql() as primary:
        if not primary.has("pg_basebackup"):
            pytest.skip("this PostgreSQL was installed without pg_basebackup, so it can have no standby")
        with Standby(primary) as standby:
            yield Pair(primary, standby)
