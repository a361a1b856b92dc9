"""DAOs: what holds on a database holds in memory."""

from datetime import timedelta

import pytest

from domain import Role, Token, UserStatus
from repositories.errors import UserNotFound
from tests.repositories.accounts import account
from tests.repositories.conformance import Subject, on_all
from tests.repositories.shelves import Leaf
from unitwork.errors import DriverError, NoActingUser, NotFound, StaleVersion, UniqueViolation, UnknownColumn
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now

pytestmark = on_all


async def test_get_gives_the_row_or_says_which_is_missing(subject: Subject) -> None:
    (row,) = await subject.named("Ann")
    found = await subject.users.get(row.id)
    assert (found.id, found.email, found.display_name) == (row.id, "user0@example.com", "Ann")
    assert await subject.users.get_or_none(1) is None
    with pytest.raises(UserNotFound) as raised:
        await subject.users.get(1)
    assert (raised.value.model, raised.value.id) == ("user", 1)
    with pytest.raises(NotFound) as other:
        await subject.container.token_dao().get(2)
    assert (type(other.value), other.value.model, other.value.id) == (NotFound, "token", 2)


async def test_get_many_keeps_the_order_of_the_ids(subject: Subject) -> None:
    one, two, gone = await subject.named("1", "2", "3")
    with acting_as(SYSTEM):
        await subject.users.soft_delete(gone.id)
    wanted = [two.id, 12345, one.id, gone.id, two.id]
    assert [row.display_name for row in await subject.users.get_many(iter(wanted))] == ["2", "1", "2"]
    assert await subject.users.get_many([]) == []


async def test_a_new_row_has_its_id_its_stamps_and_its_defaults(subject: Subject) -> None:
    before = utc_now()
    with acting_as(7):
        row = await subject.users.add(account(status=UserStatus.SUSPENDED))
        later = await subject.users.add(account("later@example.com"))
    assert 0 < row.id < later.id
    assert (row.version, row.role, row.status, row.deleted_at) == (1, Role.USER, UserStatus.SUSPENDED, None)
    assert (row.created_by, row.updated_by) == (7, 7)
    assert before <= row.created_at == row.updated_at <= utc_now()
    assert row.phone is None
    found = await subject.users.get(row.id)
    for name in ("id", "email", "role", "status", "version", "created_at", "created_by", "updated_at", "updated_by"):
        assert getattr(found, name) == getattr(row, name), name


async def test_a_new_row_keeps_the_id_it_has_and_begins_with_version_1(subject: Subject) -> None:
    with acting_as(SYSTEM):
        row = await subject.users.add(account(id=2**63 - 1, version=9, created_by=4))
    assert (row.id, row.version, row.created_by, row.updated_by) == (2**63 - 1, 1, 4, SYSTEM)
    assert (await subject.users.get(2**63 - 1)).version == 1


async def test_without_an_acting_user_nothing_is_written(subject: Subject) -> None:
    row = account()
    with pytest.raises(NoActingUser):
        await subject.users.add(row)
    assert row.id is None
    (stored,) = await subject.named("kept")
    for write in (
        lambda: subject.users.soft_delete(stored.id),
        lambda: subject.users.update().all_rows().set(display_name="x").execute(),
        lambda: subject.users.update().eq("id", 1).set(display_name="x").execute(),
    ):
        with pytest.raises(NoActingUser):
            await write()
    assert await subject.names() == ["kept"]


async def test_a_value_that_is_taken_is_refused_with_its_constraint(subject: Subject) -> None:
    await subject.named("a", phone="+14155550132")
    with acting_as(SYSTEM):
        for row, column in (
            (account("user0@example.com"), "email_key"),
            (account("b@example.com", phone="+14155550132"), "phone"),
        ):
            with pytest.raises(UniqueViolation) as raised:
                await subject.users.add(row)
            assert raised.value.columns == (column,)
            assert raised.value.constraint == (None if subject.backend == "sqlite" else f"uq_users_{column}")
            assert row.id is None, "a row that was not stored has no id"
        await subject.users.add(account("c@example.com"))
        await subject.users.add(account("d@example.com"))
    assert len(await subject.names()) == 3, "NULL is like no other"


async def test_an_id_that_is_taken_is_refused(subject: Subject) -> None:
    (row,) = await subject.named("a")
    with acting_as(SYSTEM), pytest.raises(UniqueViolation) as raised:
        await subject.users.add(account("b@example.com", id=row.id))
    assert raised.value.columns == ("id",)


async def test_a_refusal_says_its_kind_and_never_a_value(subject: Subject) -> None:
    await subject.named("a")
    with acting_as(SYSTEM), pytest.raises(DriverError) as raised:
        await subject.users.add(account("user0@example.com"))
    assert str(raised.value).startswith("UniqueViolation: ")
    assert "user0" not in str(raised.value)


async def test_many_rows_are_added_all_or_none(subject: Subject) -> None:
    rows = await subject.named(*map(str, range(120)))
    ids = [row.id for row in rows]
    assert ids == sorted(set(ids))
    with acting_as(SYSTEM):
        with pytest.raises(UniqueViolation):
            await subject.users.add_many([account("new@example.com"), account("user7@example.com")])
        assert list(await subject.users.add_many([])) == []
    assert len(await subject.names()) == 120


async def test_rows_with_different_columns_are_added_together(subject: Subject) -> None:
    with acting_as(SYSTEM):
        await subject.users.add_many(
            [account("a@b.c"), account("b@b.c", role=Role.ADMIN), account("c@b.c", display_name="C")]
        )
    found = await subject.users.query().order_by("email").all()
    assert [(row.role, row.display_name) for row in found] == [(Role.USER, None), (Role.ADMIN, None), (Role.USER, "C")]


async def test_soft_delete_hides_restore_shows_and_purge_ends(subject: Subject) -> None:
    (row,) = await subject.named("a")
    dao, before = subject.users, utc_now()
    with acting_as(6):
        gone = await dao.soft_delete(row.id)
        assert gone.deleted_at is not None
        assert before <= gone.deleted_at <= utc_now()
        assert gone.updated_at > row.updated_at
        assert (gone.version, gone.updated_by, gone.created_by) == (2, 6, SYSTEM)
        assert await dao.get_or_none(row.id) is None
        assert (await dao.get(row.id, include_deleted=True)).deleted
        with pytest.raises(UserNotFound):
            await dao.soft_delete(row.id)
        with pytest.raises(UserNotFound):
            await dao.get_locked(row.id)
        back = await dao.restore(row.id)
        assert (back.deleted_at, back.version) == (None, 3)
        assert (await dao.restore(row.id)).version == 3
        await dao.soft_delete(row.id)
        await dao.purge(row.id)
        for end in (dao.purge, dao.restore, dao.soft_delete):
            with pytest.raises(UserNotFound):
                await end(row.id)
    assert await subject.names() == []


async def test_another_version_is_stale_for_every_way_to_end_a_row(subject: Subject) -> None:
    (row,) = await subject.named("a")
    dao = subject.users
    with acting_as(SYSTEM):
        for end in (dao.soft_delete, dao.restore, dao.purge):
            for version in (0, 2):
                with pytest.raises(StaleVersion):
                    await end(row.id, version=version)
        assert (await dao.soft_delete(row.id, version=1)).version == 2
        assert (await dao.restore(row.id, version=2)).version == 3
        await dao.purge(row.id, version=3)
    assert await subject.names() == []


async def test_a_purged_account_takes_its_tokens_along(subject: Subject) -> None:
    keeps, loses = await subject.named("a", "b")
    tokens = subject.container.token_dao()
    with acting_as(SYSTEM):
        for owner in (keeps, loses):
            await tokens.add(Token.issue(owner.id, lifetime=timedelta(hours=1))[0])
        await subject.users.purge(loses.id)
    assert await tokens.query(include_deleted=True).scalars("user_id") == [keeps.id]


async def test_the_daos_own_methods_work(subject: Subject) -> None:
    ann, bob = await subject.named("a", "b")
    with acting_as(SYSTEM):
        await subject.users.soft_delete(bob.id)
        token, _ = Token.issue(ann.id, lifetime=timedelta(hours=1))
        await subject.container.token_dao().add(token)
        found = await subject.users.with_contacts(["user0@example.com", "none"], ["+1"])
        assert [row.id for row in found] == [ann.id]
        assert [row.id for row in await subject.users.with_contacts(["user1@example.com"], [])] == [bob.id]
        assert await subject.container.token_dao().revoke(token.digest, at=utc_now()) is True
        assert await subject.container.token_dao().revoke(token.digest, at=utc_now()) is False
    pair = await subject.container.token_dao().with_user(token.digest)
    assert pair is not None
    assert (pair[0].version, pair[0].revoked_at is not None, pair[1].id) == (2, True, ann.id)
    assert await subject.container.token_dao().with_user("none") is None


async def test_soft_deleting_what_has_no_such_column_is_an_error(subject: Subject) -> None:
    await subject.with_shelves()
    for mark in (subject.dao(Leaf).soft_delete, subject.dao(Leaf).restore):
        with pytest.raises(UnknownColumn) as raised:
            await mark(1)
        assert (raised.value.model, raised.value.column) == ("Leaf", "deleted_at")
