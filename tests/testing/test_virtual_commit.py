"""What COMMIT does on PostgreSQL besides committing, a virtual one does too."""

import pytest
from sqlalchemy import text

from containers import Container
from tests.testing.tables import backend_of, create_tables, stored, write
from unitwork.errors import DriverError, ForeignKeyViolation, UniqueViolation

SCHEMA = '"odd ""schema"'

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


@pytest.fixture(params=["isolated", "own"])
def database_mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def odd(container: Container) -> Container:
    """Constraints of every kind of deferral, in a schema and under names that need quotes."""
    assert backend_of(container) == "postgresql"
    parents = f"integer CONSTRAINT {{}} REFERENCES {SCHEMA}.parents"
    columns = (
        'place integer CONSTRAINT "One ""place" UNIQUE DEFERRABLE INITIALLY DEFERRED',
        f"late {parents.format('Late')} DEFERRABLE INITIALLY DEFERRED",
        f"early {parents.format('early')} DEFERRABLE",
        f"strict {parents.format('strict')}",
    )
    async with container.engine().begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        await connection.execute(text(f"CREATE TABLE {SCHEMA}.parents (id integer PRIMARY KEY)"))
        await connection.execute(text(f"CREATE TABLE {SCHEMA}.children ({', '.join(columns)})"))
    return container


async def child(container: Container, *before: str, then: str = "SELECT 1", **columns: int) -> str:
    """Insert one in a transaction of its own: 'statement' or 'commit', whichever was refused, or 'stored'."""
    reached = "statement"
    names, values = ", ".join(columns), ", ".join(map(str, columns.values()))
    try:
        async with container.transaction()() as tx:
            for statement in (*before, f"INSERT INTO {SCHEMA}.children ({names}) VALUES ({values})"):
                await tx.session.execute(text(statement))
            reached = "commit"
            await tx.session.execute(text(then))
    except (ForeignKeyViolation, UniqueViolation):
        return reached
    return "stored"


async def test_each_transaction_finds_constraints_deferred_as_they_were_declared(odd: Container) -> None:
    for round_ in (1, 2):
        assert await child(odd, late=99) == "commit"
        assert await child(odd, early=99) == "statement"
        assert await child(odd, strict=99) == "statement"
        assert await child(odd, "SET CONSTRAINTS ALL DEFERRED", early=99) == "commit"
        assert await child(odd, "SET CONSTRAINTS ALL IMMEDIATE", late=99) == "statement"
        assert await child(odd, late=round_, then=f"INSERT INTO {SCHEMA}.parents VALUES ({round_})") == "stored"
        assert await child(odd, place=round_) == "stored"
        assert await child(odd, place=round_) == "commit"


async def test_a_deferred_trigger_fires_at_the_commit_and_what_it_wrote_is_kept(container: Container) -> None:
    await create_tables(container)
    async with container.engine().begin() as connection:
        for statement in (
            """CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN INSERT INTO notes (text) VALUES ('echo of ' || NEW.text); RETURN NULL; END $$""",
            """CREATE CONSTRAINT TRIGGER echo AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW WHEN (NEW.text NOT LIKE 'echo%') EXECUTE FUNCTION echo()""",
        ):
            await connection.execute(text(statement))
    async with container.transaction()() as tx:
        await write(tx.session, "a")
        assert await tx.session.scalar(text("SELECT count(*) FROM notes")) == 1
    assert await stored(container) == ["a", "echo of a"]


async def test_what_was_set_for_a_transaction_or_a_session_lasts_as_long(container: Container) -> None:
    async with container.transaction()(read_only=True) as tx:
        assert await tx.session.scalar(text("SHOW transaction_read_only")) == "on"
    async with container.transaction()() as tx:
        assert await tx.session.scalar(text("SHOW transaction_read_only")) == "off"


async def test_the_drivers_own_transaction_is_a_savepoint_of_the_unit(container: Container) -> None:
    await create_tables(container)
    async with container.engine().begin() as connection:
        await write(connection, "a")
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        with pytest.raises(KeyError):
            async with driver.transaction():
                await driver.execute("INSERT INTO notes (text) VALUES ('b')")
                raise KeyError
        async with driver.transaction():
            await driver.execute("INSERT INTO notes (text) VALUES ('c')")
    assert await stored(container) == ["a", "c"]


async def test_rows_are_copied_into_the_unit(container: Container) -> None:
    await create_tables(container)
    async with container.engine().connect() as connection:
        await connection.execute(text("SELECT 1"))
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.copy_records_to_table("notes", records=[(1, "a")], columns=["id", "text"])
        await connection.rollback()
    assert await stored(container) == []


async def test_a_commit_in_a_failed_transaction_is_refused(container: Container) -> None:
    await create_tables(container)
    async with container.engine().connect() as connection:
        with pytest.raises(DriverError):
            await connection.execute(text("SELECT 1/0"))
        with pytest.raises(DriverError) as raised:
            await connection.commit()
        assert raised.value.sqlstate == "25P02"
    async with container.transaction()() as tx:
        await write(tx.session, "a")
    assert await stored(container) == ["a"]
