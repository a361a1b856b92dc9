"""Databases for tests: one migrated template of each kind, copied for each test."""

import asyncio
import itertools
import os
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import make_url

from containers import Container, running
from settings import Settings

T = TypeVar("T")
POSTGRESQL_URL = "GATEHOUSE_TEST_POSTGRESQL_URL"
PREFIX = "gatehouse_test_"
"""Only databases with this prefix are created and dropped."""


class Databases:
    """Gives each test a database of its own, by copying a template that is migrated once for each worker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = (f"{PREFIX}{os.getpid()}_{number}" for number in itertools.count())
        self._templates: dict[str, str] = {}
        self._created: list[str] = []

    def create(self, backend: str, *, migrated: bool = True) -> str:
        """The URL of a new database, `sqlite` or `postgresql`."""
        name = next(self._names)
        if backend == "sqlite":
            path = self._folder / f"{name}.db"
            if migrated:
                shutil.copyfile(self._template(backend), path)
            return f"sqlite:///{path}"
        template = f' TEMPLATE "{self._template(backend)}"' if migrated else ""
        self._execute(f'CREATE DATABASE "{name}"{template}')
        self._created.append(name)
        return self._postgresql(name)

    def drop(self, url: str) -> None:
        """Remove a database that `create` made."""
        name = make_url(url).database or ""
        if name in self._created:
            self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            self._created.remove(name)

    def close(self) -> None:
        """Remove every database that is left."""
        for name in list(self._created):
            self.drop(self._postgresql(name))

    def _template(self, backend: str) -> str:
        if backend not in self._templates:
            url = self.create(backend, migrated=False)
            asyncio.run(_migrate(url))
            name = make_url(url).database or ""
            if backend == "sqlite":
                # Fold the write-ahead log in, so that the one file is the whole database.
                with sqlite3.connect(name) as connection:
                    connection.execute("PRAGMA journal_mode = DELETE")
                connection.close()
            self._templates[backend] = name
        return self._templates[backend]

    def _postgresql(self, name: str) -> str:
        return make_url(os.environ[POSTGRESQL_URL]).set(database=name).render_as_string(hide_password=False)

    def _execute(self, statement: str) -> None:
        postgresql(lambda connection: connection.execute(statement))


async def _migrate(url: str) -> None:
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        await container.schema().upgrade()


def postgresql(call: Callable[[Any], Awaitable[T]]) -> T:
    """Run something on the server's maintenance database."""

    async def connected() -> T:
        url = make_url(os.environ[POSTGRESQL_URL]).set(drivername="postgresql")
        connection = await asyncpg.connect(url.render_as_string(hide_password=False))
        try:
            return await call(connection)
        finally:
            await connection.close()

    return asyncio.run(connected())
