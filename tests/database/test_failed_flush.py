"""After a flush that failed and was caught: in a transaction, in a savepoint, without either."""

import pytest

from containers import Container
from domain import User
from tests.database.tables import stored, write
from unitwork import Propagation, TransactionProvider
from unitwork.errors import TransactionRolledBack, UniqueViolation
from unitwork.models import SYSTEM, acting_as


def ann() -> User:
    return User.create({"email": "ann@example.com"})


@pytest.fixture(autouse=True)
async def _with_ann(with_tables: Container) -> None:
    with acting_as(SYSTEM):
        await with_tables.user_dao().add(ann())


async def test_what_is_added_after_it_is_refused_with_its_cause(transaction: TransactionProvider) -> None:
    with acting_as(SYSTEM), pytest.raises(TransactionRolledBack):
        async with transaction() as tx:
            tx.session.add(ann())
            with pytest.raises(UniqueViolation):
                await tx.session.flush()
            tx.session.add(User.create({"email": "bob@example.com"}))
            with pytest.raises(TransactionRolledBack) as refused:
                await tx.session.flush()
            assert isinstance(refused.value.__cause__, UniqueViolation)


@pytest.mark.parametrize("mode", [Propagation.SUPPORTS, Propagation.NOT_SUPPORTED, Propagation.NEVER])
async def test_without_a_transaction_the_block_goes_on(
    transaction: TransactionProvider, with_tables: Container, mode: Propagation
) -> None:
    with acting_as(SYSTEM):
        async with transaction(mode) as tx:
            tx.session.add(ann())
            with pytest.raises(UniqueViolation):
                await tx.session.flush()
            tx.session.add(User.create({"email": "bob@example.com"}))
            await tx.session.flush()
    assert await with_tables.user_dao().count().rows() == 2


async def test_a_savepoint_of_the_session_says_that_its_work_is_undone_and_the_transaction_goes_on(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    with acting_as(SYSTEM):
        async with transaction() as tx:
            await write(tx.session, "kept")
            with pytest.raises(TransactionRolledBack) as undone:
                async with tx.session.begin_nested():
                    await write(tx.session, "undone")
                    tx.session.add(ann())
                    with pytest.raises(UniqueViolation):
                        await tx.session.flush()
            assert isinstance(undone.value.__cause__, UniqueViolation)
            await write(tx.session, "kept too")
    assert await stored(with_tables) == {"kept", "kept too"}
