"""Any callable with the signature is a session provider: what `transaction` does over one that isn't ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from repositories import UserDao
from unitwork import Outcome, Propagation, TransactionProvider
from unitwork.errors import NoActiveTransaction, TransactionRolledBack


class FakeSession:
    """Has nothing: whatever is called on it fails."""

    def __init__(self) -> None:
        self.info: dict[str, Any] = {}


class FakeProvider:
    def __init__(self) -> None:
        self.calls: list[dict[str, bool]] = []
        self.ends: list[str] = []

    @asynccontextmanager
    async def __call__(self, *, autoflush: bool = True, read_only: bool = False) -> AsyncIterator[Any]:
        self.calls.append({"autoflush": autoflush, "read_only": read_only})
        try:
            yield FakeSession()
        except BaseException:
            self.ends.append("rollback")
            raise
        self.ends.append("commit")


async def test_it_is_entered_once_with_its_two_options_and_joined_by_everything_inside() -> None:
    provider = FakeProvider()
    transaction = TransactionProvider(provider)
    dao = UserDao(provider)
    seen: list[str] = []
    async with transaction(read_only=True, autoflush=False, isolation="SERIALIZABLE", timeout=1) as tx:
        tx.after_commit(lambda: seen.append("hook"))
        for mode in (Propagation.REQUIRED, Propagation.MANDATORY, Propagation.SUPPORTS):
            async with transaction(mode, read_only=True) as joined:
                assert joined is tx
        async with dao._session() as session:
            assert session is tx.session
        assert tx.outcome is None
        assert tx.session.info["transaction"] is tx
    assert provider.calls == [{"autoflush": False, "read_only": True}]
    assert provider.ends == ["commit"]
    assert tx.outcome is Outcome.COMMITTED
    assert seen == ["hook"]


async def test_an_exception_goes_through_its_own_exit() -> None:
    provider = FakeProvider()
    with pytest.raises(LookupError):
        async with TransactionProvider(provider)() as tx:
            raise LookupError
    assert provider.ends == ["rollback"]
    assert tx.outcome is Outcome.ROLLED_BACK


async def test_a_doomed_one_ends_in_its_rollback() -> None:
    provider = FakeProvider()
    transaction = TransactionProvider(provider)
    with pytest.raises(TransactionRolledBack):
        async with transaction():
            with pytest.raises(LookupError):
                async with transaction():
                    raise LookupError
    assert provider.ends == ["rollback"]


async def test_requires_new_enters_it_again() -> None:
    provider = FakeProvider()
    transaction = TransactionProvider(provider)
    async with transaction() as outer:
        async with transaction(Propagation.REQUIRES_NEW) as inner:
            assert inner.session is not outer.session
        assert provider.ends == ["commit"]
    assert provider.ends == ["commit", "commit"]


async def test_nested_joins_where_its_session_knows_no_savepoints() -> None:
    transaction = TransactionProvider(FakeProvider())
    async with transaction() as outer, transaction(Propagation.NESTED) as nested:
        assert nested is outer


async def test_nested_uses_its_sessions_savepoints() -> None:
    log: list[str] = []

    class Savepoint:
        async def start(self) -> None:
            log.append("savepoint")

        async def commit(self) -> None:
            log.append("release")

        async def rollback(self) -> None:
            log.append("rollback to")

    class WithSavepoints(FakeSession):
        def begin_nested(self) -> Savepoint:
            return Savepoint()

    @asynccontextmanager
    async def provider(*, autoflush: bool = True, read_only: bool = False) -> AsyncIterator[Any]:
        yield WithSavepoints()

    transaction = TransactionProvider(provider)
    seen: list[str] = []
    async with transaction():
        async with transaction(Propagation.NESTED) as kept:
            kept.after_commit(lambda: seen.append("kept"))
        with pytest.raises(LookupError):
            async with transaction(Propagation.NESTED) as lost:
                lost.after_commit(lambda: seen.append("lost"))
                raise LookupError
    assert log == ["savepoint", "release", "savepoint", "rollback to"]
    assert seen == ["kept"]


async def test_without_a_transaction_it_is_entered_and_nothing_is_ambient() -> None:
    provider = FakeProvider()
    transaction = TransactionProvider(provider)
    async with transaction(Propagation.NOT_SUPPORTED) as tx:
        assert not tx.active
        with pytest.raises(NoActiveTransaction):
            async with transaction(Propagation.MANDATORY):
                pass
    assert tx.outcome is None
