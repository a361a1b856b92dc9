"""`Database`: the door for programs without a container."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase

from packages.unitwork.tests import shop
from packages.unitwork.tests.shop import Base, Item, ItemDao
from unitwork import Database, DatabaseOptions
from unitwork.errors import ContainerClosed, DatabaseUnavailable, EngineNotStarted, TransactionTimeout
from unitwork.models import SnowflakeId

ENV = """
from alembic import context
context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
"""
REVISION = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "0001", None
def upgrade():
    label = sa.Column("label", sa.String(20), nullable=False)
    op.create_table("items", sa.Column("id", sa.Integer, primary_key=True), label)
def downgrade():
    op.drop_table("items")
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/shop.db"


async def with_tables(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


async def test_it_is_open_between_its_block_and_no_longer(url: str) -> None:
    database = Database(url)
    with pytest.raises(EngineNotStarted):
        assert database.engine
    async with database:
        engine = database.engine
        async with database:
            assert database.engine is engine
        assert database.engine is engine
    with pytest.raises(ContainerClosed):
        assert database.engine
    with pytest.raises(ContainerClosed):
        await database.__aenter__()


async def test_a_block_commits_at_its_end_and_rolls_back_at_any_other(url: str) -> None:
    async with Database(url) as database:
        await with_tables(database)
        items = ItemDao(database.sessions)
        async with database.transaction():
            await items.add(Item(label="kept"))
        with pytest.raises(InterruptedError):
            async with database.transaction():
                await items.add(Item(label="lost"))
                raise InterruptedError
        async with database.sessions() as session:
            assert (await session.execute(text("SELECT label FROM items"))).scalars().all() == ["kept"]


async def test_it_takes_options_and_they_count(url: str) -> None:
    async with Database(DatabaseOptions(url, pool_size=2, max_overflow=0, slow_sql_threshold=None)) as database:
        assert database.engine.pool.size() == 2  # type: ignore[attr-defined]  # a QueuePool
        assert database.monitor.thresholds.slow_sql is None
        with pytest.raises(TransactionTimeout):
            async with database.transaction(timeout=0.01) as tx:
                await tx.session.execute(
                    text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")
                )


async def test_the_monitor_names_the_line_and_not_the_dao(url: str) -> None:
    """The DAO's class stands in the file of its caller."""
    async with Database(DatabaseOptions(url, slow_sql_threshold=1e-9)) as database:
        await with_tables(database)
        database.monitor.findings.counts.clear()
        assert await shop.ask(database) == []
        (finding,) = [one for one in database.monitor.findings.latest("slow_sql") if "items.label" in one.text]
    lines = Path(shop.__file__).read_text(encoding="utf-8").splitlines()
    asking = next(number for number, line in enumerate(lines, 1) if "ItemDao(database.sessions).labels()" in line)
    assert finding.facts["call_site"].endswith(f"shop.py:{asking}")


async def test_migrations_of_a_base_of_ones_own_are_run_and_compared(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV, encoding="utf-8")
    (folder / "versions" / "0001_items.py").write_text(REVISION, encoding="utf-8")
    async with Database(url) as database:
        schema = database.schema(folder, metadata=Base.metadata)
        assert await schema.current() is None
        await schema.upgrade()
        assert (await schema.current(), schema.head, await schema.differences()) == ("0001", "0001", [])
        await ItemDao(database.sessions).add(Item(label="x"))


async def test_a_database_that_cannot_be_had_closes_again(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}") as database:
        with pytest.raises(DatabaseUnavailable):
            await ItemDao(database.sessions).count().rows()
    with pytest.raises(ContainerClosed):
        assert database.engine


async def test_a_schema_compares_models_that_were_defined_after_it(url: str, tmp_path: Path) -> None:
    class Late(DeclarativeBase):
        pass

    async with Database(url) as database:
        schema = database.schema(tmp_path, metadata=Late.metadata)
        assert await schema.differences() == []

        class Parcel(SnowflakeId, Late):
            __tablename__ = "parcels"

        assert {difference[1].name for difference in await schema.differences()} == {
            Parcel.__tablename__,
            "node_leases",
        }
