"""UserDao: accounts by their contacts, and by a filter."""

from datetime import timedelta

from containers import Container
from domain import UserStatus
from repositories import UserFilter
from tests.repositories.accounts import account, store
from unitwork.models import SYSTEM, acting_as


async def test_whoever_holds_a_contact_is_found_deleted_or_not(container: Container) -> None:
    ann, bob, _ = await store(
        container,
        [account("ann@b.c", phone="+14155550101"), account("bob@b.c", phone="+14155550102"), account("eve@b.c")],
    )
    dao = container.user_dao()
    with acting_as(SYSTEM):
        await dao.soft_delete(bob.id)
    assert [row.id for row in await dao.with_contacts(["ann@b.c"], ["+14155550102"])] == [ann.id, bob.id]
    assert [row.id for row in await dao.with_contacts(["ann@b.c"], ["+14155550101"])] == [ann.id]
    assert await dao.with_contacts([], []) == []
    assert await dao.with_contacts(["ANN@B.C"], []) == []


async def test_each_criterion_narrows_and_all_must_hold(container: Container) -> None:
    ann, ben, cid = await store(
        container,
        [
            account("Ann@B.c", display_name="Ann 100%", phone="+14155550101"),
            account("ben@b.c", display_name="Ben"),
            account("cid@b.c", display_name="Cid", status=UserStatus.SUSPENDED),
        ],
    )
    dao = container.user_dao()

    async def found(wanted: UserFilter) -> list[int]:
        ids = await wanted.apply(dao.query()).scalars("id")
        assert await wanted.apply(dao.count()).rows() == len(ids)
        return ids

    assert await found(UserFilter()) == [ann.id, ben.id, cid.id]
    assert await found(UserFilter(email="ANN@b.C")) == [ann.id]
    assert await found(UserFilter(email="ann")) == []
    assert await found(UserFilter(phone="+14155550101")) == [ann.id]
    assert await found(UserFilter(name="%")) == [ann.id]
    assert await found(UserFilter(name="en")) == [ben.id]
    assert await found(UserFilter(status=UserStatus.SUSPENDED)) == [cid.id]
    assert await found(UserFilter(status=UserStatus.ACTIVE, name="Ben")) == [ben.id]
    assert await found(UserFilter(status=UserStatus.SUSPENDED, name="Ben")) == []
    assert await found(UserFilter(created_after=cid.created_at)) == []
    assert cid.id in await found(UserFilter(created_after=cid.created_at - timedelta(microseconds=1)))
