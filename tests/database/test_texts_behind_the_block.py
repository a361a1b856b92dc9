"""Texts that would begin or end a transaction behind the block's back, sent to the databases that know them."""

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import User
from unitwork import Outcome, Propagation
from unitwork.errors import CommitOutcomeUnknown, DatabaseError, TransactionIsOurs
from unitwork.models import SYSTEM, acting_as

EVERYWHERE = ("/**/COMMIT", ";COMMIT", "ROLLBACK -- x", "SAVEPOINT/**/a", "/* a */ -- b\n COMMIT", "RELEASE a")
REFUSED = {
    "sqlite": ("END TRANSACTION", "BEGIN/**/IMMEDIATE", "/* /* */ COMMIT -- */", "COMMIT TRANSACTION"),
    "postgresql": (
        *("START/**/TRANSACTION", "END", "ABORT", "PREPARE/**/TRANSACTION 'a'", "COMMIT PREPARED 'a'", "BEGIN WORK"),
        "/* /* */ */ COMMIT AND CHAIN",
    ),
    "mariadb": (
        *("/*M! COMMIT */", "/*!50000 COMMIT */", "IF 1 THEN COMMIT; END IF", "EXECUTE IMMEDIATE 'COMMIT'"),
        *("BEGIN NOT ATOMIC COMMIT; END", "PREPARE s FROM 'COMMIT'", "SET STATEMENT max_statement_time=1 FOR COMMIT"),
        *(
            "SET @x=1, autocommit=0",
            "CASE 1 WHEN 1 THEN COMMIT; END CASE",
            "START/**/TRANSACTION",
            "LOCK TABLES a READ",
        ),
        *("FLUSH STATUS", "CHECK TABLE users", "UNLOCK TABLES"),
    ),
}


@pytest.fixture
def database_mode() -> str:
    """Transactions are real."""
    return "own"


async def _names(container: Container) -> int:
    async with container.session_provider()(read_only=True) as session:
        return await session.scalar(select(func.count()).select_from(User)) or 0


async def _send(session: AsyncSession, statement: str) -> None:
    connection = await session.connection()
    await connection.exec_driver_sql(statement)


async def test_no_spelling_ends_a_units_transaction(container: Container, backend: str) -> None:
    for statement in (*EVERYWHERE, *REFUSED[backend]):
        with acting_as(SYSTEM), pytest.raises(LookupError):
            async with container.transaction()() as tx:
                await container.user_dao().add(User.create({"email": "a@example.com"}))
                with pytest.raises(TransactionIsOurs):
                    await _send(tx.session, statement)
                raise LookupError
        assert await _names(container) == 0, statement


async def test_no_spelling_begins_a_transaction_where_there_is_none(container: Container, backend: str) -> None:
    """On PostgreSQL what was answered after `START/**/TRANSACTION` was lost."""
    begins = [statement for statement in (*EVERYWHERE, *REFUSED[backend]) if statement.lstrip("/*;")[:1] in "BS"]
    for number, statement in enumerate(begins):
        if "TABLE" in statement or "STATUS" in statement:
            continue
        with acting_as(SYSTEM):
            async with container.transaction()(Propagation.NOT_SUPPORTED) as tx:
                await _send(tx.session, "SELECT 1")
                with pytest.raises(TransactionIsOurs):
                    await _send(tx.session, statement)
                await container.user_dao().add(User.create({"email": f"{number}@example.com"}))
        assert await _names(container) == number + 1, statement


async def test_ordinary_statements_with_these_words_pass(container: Container) -> None:
    async with container.transaction()() as tx:
        for statement in (
            "SELECT 'COMMIT'",
            "SELECT 'it''s; COMMIT' AS a /* COMMIT */",
            "-- ROLLBACK\nSELECT 1",
            "SELECT '/*' AS a, '*/ COMMIT' AS b",
        ):
            await tx.session.execute(text(statement))
    assert tx.outcome is Outcome.COMMITTED


@pytest.fixture
async def procedure(container: Container, backend: str) -> str:
    """A procedure that commits, which no text tells."""
    if backend != "mariadb":
        pytest.skip("only MariaDB lets a procedure end its caller's transaction")
    async with container.engine().connect() as connection:
        await connection.exec_driver_sql("CREATE OR REPLACE PROCEDURE ends_it() COMMIT")
        await connection.exec_driver_sql("CREATE OR REPLACE PROCEDURE begins_one() START TRANSACTION")
    return "CALL ends_it()"


@pytest.mark.parametrize("statement", ["CALL ends_it()", "EXECUTE IMMEDIATE CONCAT('COM', 'MIT')"])
async def test_a_transaction_that_a_procedure_ends_has_an_unknown_outcome(
    container: Container, procedure: str, statement: str
) -> None:
    assert procedure
    with acting_as(SYSTEM), pytest.raises(CommitOutcomeUnknown):
        async with container.transaction()() as tx:
            await container.user_dao().add(User.create({"email": "a@example.com"}))
            with pytest.raises(TransactionIsOurs):
                await _send(tx.session, statement)
            with pytest.raises(DatabaseError):
                await container.user_dao().add(User.create({"email": "b@example.com"}))
    assert tx.outcome is Outcome.UNKNOWN
    assert await _names(container) == 1


async def test_a_transaction_that_a_procedure_begins_is_rolled_back(container: Container, procedure: str) -> None:
    assert procedure
    with acting_as(SYSTEM):
        async with container.transaction()(Propagation.NOT_SUPPORTED) as tx:
            await _send(tx.session, "SELECT 1")
            with pytest.raises(TransactionIsOurs):
                await _send(tx.session, "CALL begins_one()")
            await container.user_dao().add(User.create({"email": "b@example.com"}))
    assert await _names(container) == 1
