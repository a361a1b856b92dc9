"""Alembic's environment: the models' metadata, and the connection it is given or one from the settings."""

import asyncio
from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

import domain  # noqa: F401 - every model, or their tables and those kept for them would be unknown here
from settings import Settings
from unitwork import Compatibility, MigrationRun, build_engine, with_library_tables
from unitwork.models import Base, UTCDateTime


def render_item(kind: str, item: object, autogenerate: AutogenContext) -> str | Literal[False]:
    """Name our own column type in a generated migration, with its import."""
    if kind == "type" and isinstance(item, UTCDateTime):
        autogenerate.imports.add("from unitwork.models import UTCDateTime")
        return "UTCDateTime()"
    return False


def migrate(connection: Connection) -> None:
    """Run the migrations on this connection, all of them in one transaction where the database can."""
    sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        target_metadata=with_library_tables(Base.metadata),
        version_table=context.config.attributes["version_table"],
        render_as_batch=sqlite,
        # Ours begins with BEGIN IMMEDIATE, so SQLite's DDL is transactional.
        transactional_ddl=True if sqlite else None,
        compare_type=True,
        on_version_apply=Compatibility(since="0009"),
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


def render() -> None:
    """Print the migrations as SQL of PostgreSQL, to the configuration's output. No database is asked."""
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # another one would double every `%`
        literal_binds=True,
        target_metadata=with_library_tables(Base.metadata),
        version_table=context.config.attributes.get("version_table") or Settings().database.version_table,
        on_version_apply=Compatibility(since="0009"),
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_migrate() -> None:
    """For the `alembic` command; the service's own commands hand in a connection."""
    database = Settings().database
    context.config.attributes["version_table"] = database.version_table
    engine = build_engine(database)
    try:
        await MigrationRun(engine, database).run(migrate)
    finally:
        await engine.dispose()


given = context.config.attributes.get("connection")
if context.is_offline_mode():
    render()
elif given is None:
    asyncio.run(connect_and_migrate())
else:
    migrate(given)
