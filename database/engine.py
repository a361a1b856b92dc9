"""The engine: opened by the container's Resource inside `running()`, disposed when the lifetime ends."""

import os
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from database import json_codec, postgresql, sqlite
from database.errors import DatabaseUnavailable, DriverNotInstalled
from database.events import install
from database.lifetime import Lifetime
from database.pool import Pool, ping_after_idle
from settings import DatabaseSettings

EXTRAS = {"mysql": "mysql", "mariadb": "mysql", "oracle": "oracle"}
"""The extra that installs a database's driver; the others come with the project itself."""


def open_engine(settings: DatabaseSettings, lifetime: Lifetime) -> AsyncEngine:
    """An engine that the lifetime disposes of. Connects to nothing yet.

    Raises `EngineNotStarted` outside `running()`, `DriverNotInstalled` naming the extra to install.
    """
    lifetime.require_open()
    engine = build_engine(settings)
    opened_by = os.getpid()

    async def dispose() -> None:
        # A forked child that leaves its parent's block must not say goodbye on its parent's sockets.
        if os.getpid() == opened_by:
            await engine.dispose()
        else:
            engine.sync_engine.dispose(close=False)

    lifetime.on_close(dispose)
    return engine


def build_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine that is the caller's to dispose of."""
    backend = settings.url.get_backend_name()
    arguments: dict[str, Any] = {}
    if backend == "sqlite":
        arguments = sqlite.connect_args(settings)
    elif backend == "postgresql":
        arguments = postgresql.connect_args(settings)
    try:
        engine = create_async_engine(
            settings.url,
            connect_args=arguments,
            poolclass=Pool,
            pool_size=settings.pool_size,
            max_overflow=settings.max_overflow,
            pool_timeout=settings.pool_timeout,
            pool_recycle=settings.pool_recycle,
            pool_use_lifo=True,
            hide_parameters=True,
            execution_options={sqlite.WRITER_TIMEOUT_OPTION: settings.statement_timeout or sqlite.WRITER_TIMEOUT},
            json_serializer=json_codec.dumps,
            json_deserializer=json_codec.loads,
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        driver = settings.url.get_driver_name()
        raise DriverNotInstalled(driver, EXTRAS.get(backend)) from error
    ping_after_idle(engine, settings.ping_after_idle)
    _name_connect_failures(engine)
    install(engine)
    return engine


def _name_connect_failures(engine: AsyncEngine) -> None:
    target = engine.sync_engine

    # Last of the listeners, as it makes the connection; drivers raise OSError and errors of their own here,
    # most of which SQLAlchemy passes on untranslated.
    @event.listens_for(target, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        if dialect.name == "sqlite":
            sqlite.make_folder(arguments)
        try:
            return dialect.loaded_dbapi.connect(*arguments, **options)
        except (OSError, TimeoutError, dialect.loaded_dbapi.Error) as error:
            raise DatabaseUnavailable(_reason(error), address(engine.url)) from None


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return os.strerror(error.errno).lower() if error.errno else type(error).__name__
    return str(error.args[0]) if error.args else type(error).__name__


def address(url: URL) -> str:
    """Where the database is, without credentials: `host:port/name`, or SQLite's file."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return f"{url.host or 'localhost'}{f':{url.port}' if url.port else ''}/{url.database or ''}"
