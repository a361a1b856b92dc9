"""isolated: a running container over one transaction that is never committed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pkgutil import resolve_name
from typing import Any, Final, TypeVar

from unitwork.testing import IsolatedSessionProvider, OuterTransaction

C = TypeVar("C", bound=Any)
CONTAINERS: Final = "containers"
"""Default name of the module that has the project's `Container` and `running`."""


@asynccontextmanager
async def isolated(container: C, *, containers: str = CONTAINERS) -> AsyncIterator[C]:
    """Run the container on one connection, in one transaction of the database in its settings.

    Commits of the code under test are visible to the whole container and to nobody else, and are undone at the end.
    Any number of these may be open on one PostgreSQL database; on a SQLite file, which has one writer, the first
    statement waits for its turn. `containers` is the module whose `running` opens the container.
    """
    running = resolve_name(f"{containers}:running")
    outer = OuterTransaction(container.settings().database)
    provider = IsolatedSessionProvider(container.session_factory())
    try:
        with container.engine.override(outer.engine), container.session_provider.override(provider):
            async with running(container):
                yield container
    finally:
        await outer.end()
