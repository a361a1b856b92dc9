"""Tables that a test makes itself, with a constraint of each kind; what they hold, as the container sees it."""

from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKey, Integer, MetaData, String, Table, func, select, text

from containers import Container

metadata = MetaData()
notes = Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("text", String(50), unique=True, nullable=False),
    CheckConstraint("text <> 'refused'", name="ck_notes_text"),
)
replies = Table(
    "replies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("note", ForeignKey("notes.id", name="fk_replies_note", deferrable=True, initially="DEFERRED")),
)
marks = Table(
    "marks", metadata, Column("id", Integer, primary_key=True), Column("note", ForeignKey("notes.id", name="fk_marks"))
)

SLEEP = {
    "postgresql": text("SELECT pg_sleep(20)"),
    "mariadb": text("SELECT SLEEP(20)"),
    "sqlite": text("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"),
}
"""Takes much longer than any test waits."""


async def create_tables(container: Container) -> None:
    async with container.engine().begin() as connection:
        await connection.run_sync(metadata.create_all)


async def write(session: Any, value: str | None, **columns: Any) -> None:
    await session.execute(notes.insert().values(text=value, **columns))


async def stored(container: Container) -> list[str]:
    """The texts that a unit of its own sees."""
    async with container.session_provider()(read_only=True) as session:
        return list((await session.scalars(select(notes.c.text).order_by(notes.c.text))).all())


async def replies_stored(container: Container) -> int:
    async with container.session_provider()(read_only=True) as session:
        return await session.scalar(select(func.count()).select_from(replies)) or 0


def backend_of(container: Container) -> str:
    name: str = container.engine().dialect.name
    return name
