"""Engine: created by `open_engine` or `build_engine`, and disposed of when the lifetime ends."""

from typing import Any

from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from unitwork.backends import json_codec, postgresql, sqlite
from unitwork.backends.address import address
from unitwork.backends.backend import CONNECT_ARGUMENTS
from unitwork.backends.interruption import GRACE_OPTION
from unitwork.backends.registry import backend_named
from unitwork.connections.connecting import unavailable
from unitwork.connections.disposal import Disposal
from unitwork.connections.lifetime import Lifetime
from unitwork.connections.listeners import install
from unitwork.connections.pool import Pool, ping_after_idle, share_initialization
from unitwork.connections.primary import leave_server
from unitwork.errors import DriverNotInstalled
from unitwork.options import Options


def open_engine(settings: Options, lifetime: Lifetime) -> AsyncEngine:
    """Create an engine that the lifetime disposes of. Opens no connection yet.

    Raises `EngineNotStarted` outside `running()`, `DriverNotInstalled` naming the extra to install,
    `DatabaseUnavailable` for a certificate of MariaDB that can't be read.
    """
    lifetime.require_open()
    engine = build_engine(settings)
    lifetime.on_close(Disposal(engine).dispose)
    return engine


def build_engine(settings: Options, *, replica: bool = False, **instead: Any) -> AsyncEngine:
    """Create an engine that the caller disposes of. `instead` are arguments of `create_async_engine` that replace ours;
    execution options are added to ours. The connections of a `replica` refuse writes.
    """
    backend = backend_named(settings.url.get_backend_name())
    try:
        arguments = backend.connect_args(settings)
    except ModuleNotFoundError as error:
        raise DriverNotInstalled(settings.url.get_driver_name(), backend.extra) from error
    except OSError as error:  # an unreadable certificate file
        raise unavailable(error, address(settings.url)) from None
    if replica:
        backend.read_only_arguments(arguments)
    ours: dict[str, Any] = {
        "connect_args": arguments,
        "poolclass": Pool,
        # The pool keeps what it has opened, until it has idled (`unitwork.connections.elastic`).
        "pool_size": settings.pool_size + (settings.max_overflow if settings.pool_idle_timeout else 0),
        "max_overflow": 0 if settings.pool_idle_timeout else settings.max_overflow,
        "pool_timeout": settings.pool_timeout,
        "pool_recycle": settings.pool_recycle,
        "pool_use_lifo": True,
        "hide_parameters": True,
        "execution_options": {
            sqlite.WRITER_TIMEOUT_OPTION: settings.statement_timeout or sqlite.WRITER_TIMEOUT,
            postgresql.STATEMENT_TIMEOUT_OPTION: settings.statement_timeout,
            GRACE_OPTION: settings.cancel_grace,
        },
        "json_serializer": json_codec.dumps,
        "json_deserializer": json_codec.loads,
    }
    options = ours["execution_options"] | instead.pop("execution_options", {})
    try:
        # The parameters of a server's URL are in `connect_args`; SQLAlchemy would also pass them on unconverted.
        url = settings.url if backend.in_file or not arguments else settings.url.set(query={})
        engine = create_async_engine(url, **ours | instead | {"execution_options": options})
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        driver = settings.url.get_driver_name()
        raise DriverNotInstalled(driver, backend.extra) from error
    if isinstance(engine.pool, Pool):
        engine.pool.target = address(settings.url)
        engine.pool.floor, engine.pool.idle_timeout = settings.pool_size, settings.pool_idle_timeout
    setattr(engine.sync_engine.dialect, CONNECT_ARGUMENTS, arguments)
    backend.when_replaced(arguments, lambda: leave_server(engine.pool))
    ping_after_idle(engine, settings.ping_after_idle)
    share_initialization(engine)
    install(engine)
    return engine
