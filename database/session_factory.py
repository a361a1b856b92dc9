"""SessionFactory: makes sessions on the container's engine, whichever that is at the moment."""

import asyncio
import os
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

from database import sqlite
from database.errors import EngineBelongsToAnotherLoop, EngineBelongsToAnotherProcess
from database.events import install
from database.holders import Holders
from database.session import Engines, ProvidedSession, guarded_session
from database.unit import UNIT, Unit
from database.writer_turn import WriterTurn
from domain.model import ID_GENERATOR
from domain.snowflake import Snowflake


class SessionFactory:
    """The engine is asked for at every call, so an override takes effect at once; what an engine needs is registered
    when it is first seen. Belongs to the process and the event loop of its first session.
    """

    def __init__(self, engine: Engines, id_generator: Snowflake) -> None:
        self._engine = engine
        self._id_generator = id_generator
        self._seen: AsyncEngine | None = None
        self._binds: dict[tuple[bool, str | None, bool], AsyncEngine] = {}
        self._process = os.getpid()
        self._inherited: list[Pool] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def one_writer(self) -> bool:
        """Whether the database has one writer at a time (SQLite)."""
        return self._current().dialect.name == "sqlite"

    def __call__(self, unit: Unit, *, autoflush: bool) -> ProvidedSession:
        """A session for the unit, not connected yet. Raises `EngineNotStarted` outside `running()`, and
        `EngineBelongsToAnotherLoop` or `…Process` away from home.
        """
        engine = self._current()
        unit.holders = self._holders
        key = (unit.read_only, unit.isolation, unit.transactional)
        bind = self._binds.get(key)
        if bind is None:
            bind = self._binds[key] = _bind(engine, *key)
        return guarded_session(unit, bind, {UNIT: unit, ID_GENERATOR: self._id_generator}, autoflush=autoflush)

    def _current(self) -> AsyncEngine:
        engine = self._engine()
        self._check_home(engine)
        if self._seen is not engine:
            install(engine)
            patience = engine.sync_engine.get_execution_options().get(
                sqlite.WRITER_TIMEOUT_OPTION, sqlite.WRITER_TIMEOUT
            )
            turn = WriterTurn(patience) if engine.dialect.name == "sqlite" else None
            self._seen, self._binds, self._holders = engine, {}, Holders(engine.pool, turn)
        return engine

    def _check_home(self, engine: AsyncEngine) -> None:
        process = os.getpid()
        if process != self._process:
            # Kept, not closed: not even the child's copies of the parent's sockets.
            self._inherited.append(engine.pool)
            engine.sync_engine.dispose(close=False)
            raise EngineBelongsToAnotherProcess(self._process, process)
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise EngineBelongsToAnotherLoop


def _bind(engine: AsyncEngine, read_only: bool, isolation: str | None, transactional: bool) -> AsyncEngine:
    """The engine with what its driver puts into BEGIN, without a trip of its own."""
    options: dict[str, Any] = {}
    if engine.dialect.name != "sqlite":
        if not transactional:
            options["isolation_level"] = "AUTOCOMMIT"
        elif isolation is not None:
            options["isolation_level"] = isolation
    if read_only and engine.dialect.name == "postgresql":
        options["postgresql_readonly"] = True
    return engine.execution_options(**options) if options else engine


def _writer_turn(engine: AsyncEngine) -> WriterTurn | None:
    if engine.dialect.name != "sqlite":
        return None
    options = engine.sync_engine.get_execution_options()
    return WriterTurn(options.get(sqlite.WRITER_TIMEOUT_OPTION, sqlite.WRITER_TIMEOUT))
