"""Every cell of the truth table, looked at from a second connection."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest

from containers import Container
from tests.database.tables import stored, write
from tests.database.truth_table import AMBIENTS, ENDINGS, FAILURE, OK, cell
from unitwork import Propagation, Transaction, TransactionProvider


class InnerError(Exception):
    pass


async def inner_block(transaction: TransactionProvider, propagation: Propagation, ending: str) -> None:
    async with transaction(propagation) as tx:
        await write(tx.session, "inner")
        if ending != "returns":
            raise InnerError


async def outer_block(transaction: TransactionProvider, propagation: Propagation, ambient: str, ending: str) -> None:
    async with AsyncExitStack() as stack:
        if ambient != "none":
            outer: AbstractAsyncContextManager[Transaction] = transaction(read_only=ambient == "read-only")
            tx = await stack.enter_async_context(outer)
            if ambient != "read-only":
                await write(tx.session, "outer")
            if ambient == "doomed":
                tx.set_rollback_only()
        try:
            await inner_block(transaction, propagation, ending)
        except Exception:
            if ending != "is caught":
                raise


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("ambient", AMBIENTS)
@pytest.mark.parametrize("propagation", Propagation)
async def test_what_is_stored_and_what_leaves_the_block(
    with_tables: Container, backend: str, propagation: Propagation, ambient: str, ending: str
) -> None:
    rows, left = cell(backend, propagation, ambient).ending(ending)
    try:
        await outer_block(with_tables.transaction(), propagation, ambient, ending)
    except Exception as error:
        outcome = FAILURE if isinstance(error, InnerError) else type(error).__name__
    else:
        outcome = OK
    assert (await stored(with_tables), outcome) == (set(rows.split()), left)
