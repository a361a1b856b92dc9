"""The plugin's hooks: choose the databases of a run, start servers, and remove everything at the end."""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Final

import pytest

from unitwork.options import DatabaseOptions
from unitwork.testing.servers import mariadb_server
from unitwork.testing.servers import postgresql as server
from unitwork.testing.servers.databases import BACKENDS, PREFIX, Databases, Migrate, Run
from unitwork.testing.servers.postgresql_server import postgresql_server

MODES: Final = ("isolated", "own")
MARKER: Final = (
    "database(mode): 'isolated' (the default), one transaction that is never committed; 'own', a database of the "
    "test's own with real commits"
)
RUN: Final = pytest.StashKey[Run]()
CLOSING: Final = pytest.StashKey[ExitStack]()
WORKER_INPUT: Final = "unitwork_run"


@dataclass(frozen=True)
class Kit:
    """The name prefix of a host's test databases, and the function that fills them."""

    migrate: Migrate
    prefix: str = PREFIX


KIT: Final = pytest.StashKey[Kit]()
"""The stash key at which a host's plugin may store its own kit, before this plugin is configured; by default it is made
from `unitwork_database`.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "unitwork_backends",
        f"Databases that tests run on: {', '.join(BACKENDS)}. Unset: postgresql if {server.POSTGRESQL_URL} is set, "
        "else sqlite.",
        type="args",
    )
    parser.addini(
        "unitwork_mariadb",
        f"Files and folders whose tests run on mariadb too, where that is one of the databases and "
        f"{mariadb_server.MARIADB_URL} is set. Unset: all.",
        type="paths",
    )
    parser.addini(
        "unitwork_database",
        "How the project opens its database: the name, as `pkg.module:open_database`, of a callable that is given "
        "`DatabaseOptions` and returns an async context manager of a `Database`, its tables made or migrated.",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    opening: str = config.getini("unitwork_database")
    if opening and KIT not in config.stash:
        config.stash[KIT] = Kit(partial(_open_once, opening))
    kit = config.stash.get(KIT, None)
    if kit is None:
        return  # the host doesn't use the kit
    unknown = set(backends(config)) - set(BACKENDS)
    if unknown:
        msg = f"unitwork_backends: unknown {', '.join(sorted(unknown))}; there are {', '.join(BACKENDS)}"
        raise pytest.UsageError(msg)
    handed_over: Any = getattr(config, "workerinput", None)
    if handed_over is not None:
        name, folder = handed_over[WORKER_INPUT]
        config.stash[RUN] = Run(name, Path(folder))
        return
    # Before any worker starts, so that all share one server and one name.
    closing = config.stash[CLOSING] = ExitStack()
    postgresql = "postgresql" in backends(config)
    if postgresql and not os.environ.get(server.POSTGRESQL_URL):
        os.environ[server.POSTGRESQL_URL] = closing.enter_context(postgresql_server())
        closing.callback(os.environ.pop, server.POSTGRESQL_URL, None)
    run = config.stash[RUN] = Run.new(kit.prefix)
    closing.callback(run.close, server_too=postgresql)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the run to an xdist worker."""
    run = node.config.stash.get(RUN, None)
    if run is None:
        return
    node.workerinput[WORKER_INPUT] = (run.name, str(run.folder))


def pytest_unconfigure(config: pytest.Config) -> None:
    closing = config.stash.get(CLOSING, None)
    if closing is not None:
        closing.close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    if KIT not in config.stash:
        return []
    return [f"databases: {', '.join(_versions(config))}"]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if KIT in config.stash:
        terminalreporter.write_line(f"ran on: {', '.join(_versions(config))}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses a database, directly or indirectly, on every kind of database."""
    if KIT not in metafunc.config.stash:
        return
    mode_of(metafunc.definition)
    given = (mark.args[0] for mark in metafunc.definition.iter_markers("parametrize") if mark.args)
    if "backend" in metafunc.fixturenames and not any("backend" in _names(argnames) for argnames in given):
        metafunc.parametrize("backend", _backends_of(metafunc), indirect=True)


def _names(argnames: str | Iterable[str]) -> list[str]:
    return [name.strip() for name in argnames.split(",")] if isinstance(argnames, str) else list(argnames)


def _backends_of(metafunc: pytest.Metafunc) -> list[str]:
    """Return the kinds of databases for a test; MariaDB only if it is requested and available."""
    wanted: list[Path] = metafunc.config.getini("unitwork_mariadb")
    path = metafunc.definition.path
    here = mariadb_server.named() and (not wanted or any(path.is_relative_to(folder) for folder in wanted))
    return [backend for backend in backends(metafunc.config) if backend != "mariadb" or here]


def backends(config: pytest.Config) -> list[str]:
    """Return the kinds of databases that the run uses."""
    named: list[str] = config.getini("unitwork_backends")
    return named or ["postgresql" if os.environ.get(server.POSTGRESQL_URL) else "sqlite"]


def databases(config: pytest.Config) -> Databases:
    """Return the databases of this process, which may be one of several workers."""
    kit = config.stash.get(KIT, None)
    if kit is None:
        msg = "no database: among pytest's options, say how one is opened: unitwork_database = 'pkg:open_database'"
        raise pytest.UsageError(msg)
    worker = getattr(config, "workerinput", {}).get("workerid", "main")
    return Databases(config.stash[RUN], worker, migrate=kit.migrate)


async def _open_once(opening: str, url: str) -> None:
    async with resolve_name(opening)(DatabaseOptions(url)):
        """Do nothing: the host has created its tables."""


def mode_of(node: pytest.Item | Any) -> str:
    """Return the mode in the nearest `@pytest.mark.database(...)`. Raises CollectError for an unknown one."""
    mark = node.get_closest_marker("database")
    if mark is None:
        return MODES[0]
    if mark.kwargs or len(mark.args) != 1 or mark.args[0] not in MODES:
        said = ", ".join([*map(repr, mark.args), *(f"{name}={value!r}" for name, value in mark.kwargs.items())])
        msg = f'{node.nodeid}: @pytest.mark.database({said}) is not known; use "isolated" or "own"'
        raise pytest.Collector.CollectError(msg)  # a UsageError would make an xdist worker crash
    return str(mark.args[0])


def _versions(config: pytest.Config) -> list[str]:
    return [_version(backend) for backend in backends(config)]


def _version(backend: str) -> str:
    if backend == "sqlite":
        return f"sqlite {sqlite3.sqlite_version}"
    if backend == "mariadb":
        return _mariadb_version()
    try:
        version = server.on_server(lambda connection: connection.fetchval("SHOW server_version"))
    except (OSError, resolve_name("asyncpg:PostgresError")):
        return "postgresql (no answer)"
    return f"postgresql {str(version).split()[0]}"


def _mariadb_version() -> str:
    if not mariadb_server.named():
        return "mariadb not (no server is named)"
    try:
        return f"mariadb {mariadb_server.version()}"
    except Exception as error:  # noqa: BLE001 - the driver, whose errors these are, is optional
        return f"mariadb (no answer: {type(error).__name__})"
