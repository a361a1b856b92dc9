"""The schema's revision: where the database stands, and moving it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Select, String, column, select, table
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from database.errors import SchemaOutdated, UnknownRevision
from database.lifetime import Lifetime
from database.session_factory import SessionFactory
from database.session_provider import EngineSessionProvider
from domain.model import Base

_REVISION: Final[Select[str]] = select(column("version_num", String)).select_from(table("alembic_version"))


class Schema:
    """The migrations of a folder, run on one engine. All of a call's steps are one transaction, where the
    database's DDL is transactional.
    """

    def __init__(
        self, engine: AsyncEngine, location: Path, lifetime: Lifetime, session_factory: SessionFactory
    ) -> None:
        lifetime.check_home()
        self._engine = engine
        self._session_provider = EngineSessionProvider(session_factory)
        self._config = Config()
        self._config.set_main_option("script_location", str(location).replace("%", "%%"))
        self._config.set_main_option("path_separator", "os")

    @property
    def head(self) -> str | None:
        """The newest revision there is."""
        return ScriptDirectory.from_config(self._config).get_current_head()

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
            async with self._session_provider.unit(transactional=False, lone=True, ambiently=False) as lone:
                revision: str | None = await lone.session.scalar(_REVISION)
                return revision
        except SchemaOutdated:
            return None

    async def upgrade(self, revision: str = "head") -> None:
        """Move up to this revision."""
        await self._run(lambda: command.upgrade(self._config, revision))

    async def downgrade(self, revision: str) -> None:
        """Move down to this revision; `base` is before the first."""
        await self._run(lambda: command.downgrade(self._config, revision))

    async def draft(self, message: str) -> Path:
        """A new migration's file, numbered after the newest, from the database as it is to the models as they are.

        Raises `UnknownRevision` when the database isn't at the newest revision.
        """
        number = f"{int(self.head or '0') + 1:04}"
        made: list[Any] = []
        await self._run(lambda: made.append(command.revision(self._config, message, autogenerate=True, rev_id=number)))
        return Path(made[0].path)

    async def differences(self) -> list[Any]:
        """What the models have and the database has not, or the other way round, in Alembic's words."""
        async with self._engine.connect() as connection:
            return await connection.run_sync(
                lambda sync: list(
                    compare_metadata(MigrationContext.configure(sync, opts={"compare_type": True}), Base.metadata)
                )
            )

    async def _run(self, step: Callable[[], object]) -> None:
        def with_connection(connection: Connection) -> None:
            self._config.attributes["connection"] = connection
            try:
                step()
            except CommandError as error:
                raise UnknownRevision(str(error)) from error
            finally:
                del self._config.attributes["connection"]

        async with self._engine.begin() as connection:
            await connection.run_sync(with_connection)
