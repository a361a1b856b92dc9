"""Schema: read the database's revision, and migrate it."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Boolean, Connection, MetaData, Select, String, column, literal_column, null, select, table
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from unitwork.backends.registry import backend_of
from unitwork.compatibility import COLUMN, Fit, StoredRevision
from unitwork.connections.lifetime import Lifetime
from unitwork.connections.primary import leave_server
from unitwork.errors import SchemaOutdated
from unitwork.migration_hazards import Hazard
from unitwork.migration_run import MigrationRun
from unitwork.models.base import Base, LibraryBase, is_needed
from unitwork.options import MigrationOptions
from unitwork.sessions.session_factory import SessionFactory
from unitwork.transactions.block_options import BlockOptions
from unitwork.transactions.session_provider import EngineSessionProvider

T = TypeVar("T")
AUTOCOMMIT: Final = BlockOptions(transactional=False, autocommit=True, ambiently=False)


def with_library_tables(*metadata: MetaData) -> list[MetaData]:
    """Return the metadata, followed by one of the library's tables that their models need; as Alembic's
    `target_metadata`.

    These tables are `node_leases` if a model has snowflake ids, and `audit_entries` if a model is audited and the host
    has no class of entries of its own. Tables that the given metadata already have are omitted.
    """
    kept = MetaData(naming_convention=LibraryBase.metadata.naming_convention)
    for ours in LibraryBase.metadata.sorted_tables:
        if is_needed(ours, metadata) and not any(ours.key in one.tables for one in metadata):
            ours.to_metadata(kept)
    return [*metadata, kept]


def create_tables(connection: Connection, *metadata: MetaData) -> None:
    """Create the missing tables of the metadata, and the library's tables that their models need. Use it with
    `run_sync`, in place of migrations.
    """
    for one in with_library_tables(*metadata):
        one.create_all(connection)


@cache
def _queries(view: str, writable: str) -> tuple[Select[Any, Any, Any], ...]:
    """Return the queries of a stored revision: with the oldest one that works with it, and of a view without that."""
    revision, takes_writes = column("version_num", String), literal_column(writable, Boolean)
    return tuple(
        select(revision, compatible, takes_writes).select_from(table(view))
        for compatible in (column(COLUMN, String), null())
    )


class Schema:
    """Migrations of a folder, run on one engine. All steps of a call are one transaction if the database's DDL is
    transactional. One call at a time changes the schema; others wait (`MigrationRun`).

    `metadata` is the models', by default that of the library's `Base`; `with_library_tables` completes it for
    comparisons with the database.
    `revision_view` is a view on Alembic's table, for roles that may not read the table.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        location: Path,
        lifetime: Lifetime,
        session_factory: SessionFactory,
        options: MigrationOptions,
        *,
        metadata: MetaData | None = None,
        revision_view: str | None = None,
    ) -> None:
        lifetime.check_home()
        self._engine = engine
        self._session_provider = EngineSessionProvider(session_factory)
        self._location = location
        self._options = options
        self._revision_views = [view for view in (revision_view, options.version_table) if view is not None]
        self._metadata = Base.metadata if metadata is None else metadata

    @property
    def head(self) -> str | None:
        """Return the newest revision in the folder. Reads files; the first use imports Alembic, a tenth of a second."""
        head: str | None = self._steps.head()
        return head

    @property
    def connections_in_use(self) -> int:
        """Return the number of the engine's connections in use."""
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    @property
    def pool_full(self) -> bool:
        """True if every connection that the pool may open is in use, so that a caller would wait."""
        pool = self._engine.pool
        if not isinstance(pool, QueuePool) or pool._max_overflow < 0:  # noqa: SLF001 - it has no public name
            return False
        return pool.checkedout() >= pool.size() + pool._max_overflow  # noqa: SLF001 - as above

    async def current(self) -> str | None:
        """The revision the database is at; None before the first. One round trip, and no writer's place is taken."""
        return (await self.stored()).revision

    async def stored(self) -> StoredRevision:
        """The revision the database is at, the oldest one that works with its schema, and whether the server takes
        writes. One round trip, up to four where the second isn't stored.

        If the server takes no writes, its connections are dropped: the next call connects anew, and may meet another
        server.
        """
        writable = backend_of(self._engine.dialect).writable
        for query in (query for view in self._revision_views for query in _queries(view, writable)):
            with suppress(SchemaOutdated):
                async with self._session_provider.unit(AUTOCOMMIT) as lone:
                    row = (await lone.session.execute(query)).one_or_none()
                stored = StoredRevision(None) if row is None else StoredRevision(row[0], row[1], bool(row[2]))
                if not stored.writable:
                    leave_server(self._engine.pool)
                return stored
        return StoredRevision(None)

    def fit(self, stored: StoredRevision) -> Fit:
        """Compare a database's revision with those in the folder. Reads files, as `head` does."""
        return stored.fit(self._steps.revisions())

    async def upgrade(self, revision: str = "head") -> None:
        """Upgrade to this revision. Raises `UpgradeInProgress`, `MigrationBlocked`."""
        await self._migrate(lambda connection: self._steps.upgrade(connection, revision))

    def sql(self, revision: str = "head", since: str = "base") -> str:
        """Return the SQL that upgrades from `since` to this revision, as `env.py` renders it offline. Sends nothing.

        Raises `UnknownRevision`, also for a migration that declares `reads_rows = True`, unless `since` is `base`.
        """
        sql: str = self._steps.sql(revision, since)
        return sql

    def hazards(self, since: str = "base") -> list[Hazard]:
        """Return the statements of the migrations after a revision that would stop or break other programs on
        PostgreSQL. Renders them offline; raises `UnknownRevision`.
        """
        found: list[Hazard] = self._steps.hazards(since)
        return found

    async def downgrade(self, revision: str) -> None:
        """Downgrade to this revision; `base` is before the first. Raises as `upgrade`."""
        await self._migrate(lambda connection: self._steps.downgrade(connection, revision))

    async def draft(self, message: str) -> Path:
        """Write a new migration, numbered after the newest, that takes the database's tables to the models; return its
        path.

        Raises `UnknownRevision` when the database isn't at the newest revision.
        """
        path: Path = await self._run(lambda connection: self._steps.draft(connection, message))
        return path

    async def differences(self) -> list[Any]:
        """Return the differences between the models and the database, in Alembic's format."""
        metadata = with_library_tables(self._metadata)  # when asked: models may be defined after this schema was made
        found: list[Any] = await self._run(lambda connection: self._steps.differences(connection, metadata))
        return found

    @cached_property
    def _steps(self) -> Any:
        """`MigrationSteps`, imported on first use: importing Alembic would be a tenth of the start of every process."""
        from unitwork.migration_steps import MigrationSteps  # noqa: PLC0415 - Alembic is slow to import

        return MigrationSteps(self._location, self._options.version_table)

    async def _migrate(self, step: Callable[[Connection], None]) -> None:
        await MigrationRun(self._engine, self._options).run(step)

    async def _run(self, step: Callable[[Connection], T]) -> T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(step)
