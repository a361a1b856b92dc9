"""The schema's revision: where the database stands, and moving it."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, MetaData, Select, String, column, select, table
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from unitwork.connections.lifetime import Lifetime
from unitwork.errors import SchemaOutdated
from unitwork.models.base import Base
from unitwork.sessions.session_factory import SessionFactory
from unitwork.transactions.block_options import BlockOptions
from unitwork.transactions.session_provider import EngineSessionProvider

T = TypeVar("T")
_REVISION: Final[Select[str]] = select(column("version_num", String)).select_from(table("alembic_version"))


AUTOCOMMIT: Final = BlockOptions(transactional=False, autocommit=True, ambiently=False)


class Schema:
    """The migrations of a folder, run on one engine. All of a call's steps are one transaction, where the
    database's DDL is transactional. `metadata` is what the models have; without it that of the library's `Base`.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        location: Path,
        lifetime: Lifetime,
        session_factory: SessionFactory,
        *,
        metadata: MetaData | None = None,
    ) -> None:
        lifetime.check_home()
        self._engine = engine
        self._session_provider = EngineSessionProvider(session_factory)
        self._location = location
        self._metadata = Base.metadata if metadata is None else metadata

    @property
    def head(self) -> str | None:
        """The newest revision there is. Reads files, the first time Alembic's too: a tenth of a second."""
        head: str | None = self._steps.head()
        return head

    @property
    def connections_in_use(self) -> int:
        """How many of the engine's connections are taken at this moment."""
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    @property
    def pool_full(self) -> bool:
        """Whether every connection that the pool may have is taken, so that a caller would wait."""
        pool = self._engine.pool
        if not isinstance(pool, QueuePool) or pool._max_overflow < 0:  # noqa: SLF001 - it has no public name
            return False
        return pool.checkedout() >= pool.size() + pool._max_overflow  # noqa: SLF001 - as above

    async def current(self) -> str | None:
        """The revision the database is at; None before the first. One round trip, and no writer's place is taken."""
        try:
            async with self._session_provider.unit(AUTOCOMMIT) as autocommit:
                revision: str | None = await autocommit.session.scalar(_REVISION)
                return revision
        except SchemaOutdated:
            return None

    async def upgrade(self, revision: str = "head") -> None:
        """Move up to this revision."""
        await self._run(lambda connection: self._steps.upgrade(connection, revision))

    async def downgrade(self, revision: str) -> None:
        """Move down to this revision; `base` is before the first."""
        await self._run(lambda connection: self._steps.downgrade(connection, revision))

    async def draft(self, message: str) -> Path:
        """A new migration's file, numbered after the newest, from the database as it is to the models as they are.

        Raises `UnknownRevision` when the database isn't at the newest revision.
        """
        path: Path = await self._run(lambda connection: self._steps.draft(connection, message))
        return path

    async def differences(self) -> list[Any]:
        """What the models have and the database has not, or the other way round, in Alembic's words."""
        found: list[Any] = await self._run(self._steps.differences)
        return found

    @cached_property
    def _steps(self) -> Any:
        """`MigrationSteps`. Alembic would be a tenth of the start of every process."""
        from unitwork.migration_steps import MigrationSteps  # noqa: PLC0415 - Alembic is slow to import

        return MigrationSteps(self._location, self._metadata)

    async def _run(self, step: Callable[[Connection], T]) -> T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(step)
