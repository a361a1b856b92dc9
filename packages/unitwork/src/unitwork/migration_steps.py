"""Migration steps: run Alembic's commands for a folder of migrations on a connection of ours."""

from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, cast

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util.exc import CommandError
from sqlalchemy import Connection, MetaData

from unitwork.compatibility import COLUMN
from unitwork.errors import UnknownRevision
from unitwork.migration_hazards import Hazard, hazards


class MigrationSteps:
    """Alembic's commands for the folder at `location`, whose `env.py` finds the connection and the name of the version
    table in the configuration's attributes (`connection`, `version_table`). A command that Alembic refuses, as for a
    revision that isn't in the folder, raises `UnknownRevision`.
    """

    def __init__(self, location: Path, version_table: str) -> None:
        self._config = Config()
        self._config.set_main_option("script_location", str(location).replace("%", "%%"))
        self._config.set_main_option("path_separator", "os")
        self._config.attributes["version_table"] = version_table

    def head(self) -> str | None:
        """Return the newest revision in the folder. Reads every migration's file."""
        return ScriptDirectory.from_config(self._config).get_current_head()

    def revisions(self) -> list[str]:
        """Return all revisions in the folder, newest first. Reads every migration's file."""
        return [script.revision for script in ScriptDirectory.from_config(self._config).walk_revisions()]

    def upgrade(self, connection: Connection, revision: str) -> None:
        """Upgrade to this revision."""
        self._run(connection, lambda: command.upgrade(self._config, revision))

    def sql(self, revision: str, since: str) -> str:
        """Return the SQL that upgrades from one revision to another, as `env.py` renders it without a connection;
        `base` is an empty database. Raises `UnknownRevision` for a migration between that declares `reads_rows`, unless
        the database is empty.
        """
        script = ScriptDirectory.from_config(self._config)
        try:
            if since != "base":
                for one in script.iterate_revisions(revision, since):
                    if getattr(one.module, "reads_rows", False):
                        msg = f"migration '{one.revision}' reads rows, and can't be rendered without a database"
                        raise UnknownRevision(msg)
            return self._rendered(revision, since)
        except (CommandError, RevisionError) as error:
            raise UnknownRevision(str(error)) from error

    def hazards(self, since: str) -> list[Hazard]:
        """Return what is dangerous in the migrations after a revision, oldest first; `base` is before the first."""
        script = ScriptDirectory.from_config(self._config)
        found: list[Hazard] = []
        try:
            migrations = list(script.iterate_revisions("head", since))
        except (CommandError, RevisionError) as error:
            raise UnknownRevision(str(error)) from error
        for one in reversed(migrations):
            try:
                sql = self._rendered(one.revision, str(one.down_revision or "base"))
            except Exception as error:  # noqa: BLE001 - a migration's own code, which may fail in any way without rows
                found.append(Hazard(one.revision, "unrenderable", type(error).__name__))
                continue
            source = Path(one.path).read_text(encoding="utf-8")
            declared = getattr(one.module, COLUMN, None) is not None
            versions = self._config.attributes["version_table"]
            found += hazards(one.revision, sql, source, declared=declared, version_table=versions)
        return found

    def _rendered(self, revision: str, since: str) -> str:
        output = StringIO()
        self._config.output_buffer = output
        command.upgrade(self._config, f"{since}:{revision}", sql=True)
        return output.getvalue()

    def downgrade(self, connection: Connection, revision: str) -> None:
        """Downgrade to this revision."""
        self._run(connection, lambda: command.downgrade(self._config, revision))

    def draft(self, connection: Connection, message: str) -> Path:
        """Write a migration from the connection's tables to the models'; return its path."""
        number = f"{int(self.head() or '0') + 1:04}"
        made: list[Any] = []
        self._run(
            connection,
            lambda: made.append(command.revision(self._config, message, autogenerate=True, rev_id=number)),
        )
        return Path(made[0].path)

    def differences(self, connection: Connection, metadata: Sequence[MetaData]) -> list[Any]:
        """Return the differences between the models' metadata and the connection's tables."""
        return list(
            # Its annotation allows one metadata, its code a sequence, as `target_metadata` may be.
            compare_metadata(MigrationContext.configure(connection, opts=self._comparison), cast("Any", metadata))
        )

    @property
    def _comparison(self) -> dict[str, Any]:
        return {"compare_type": True, "version_table": self._config.attributes["version_table"]}

    def _run(self, connection: Connection, step: Callable[[], object]) -> None:
        self._config.attributes["connection"] = connection
        try:
            step()
        except CommandError as error:
            raise UnknownRevision(str(error)) from error
        finally:
            del self._config.attributes["connection"]
