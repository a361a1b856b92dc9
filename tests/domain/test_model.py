"""What every model shares: ids, stamps, the optimistic lock. All by column defaults."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text, update

from containers import Container
from domain import Role, User, UserStatus
from unitwork.errors import NoActingUser, NoIdGenerator, StaleVersion
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now


def user(email: str = "ann@example.com") -> User:
    return User.create({"email": email})


async def test_unset_columns_keep_their_defaults(container: Container) -> None:
    """Trap 4: saving wrote NULL over column defaults."""
    before = utc_now()
    with acting_as(7):
        row = await container.user_dao().add(user())
    async with container.engine().connect() as connection:
        stored = (await connection.execute(text("SELECT * FROM users"))).mappings().one()
    assert (stored["id"], stored["role"], stored["status"], stored["version"]) == (row.id, "user", "active", 1)
    assert (stored["created_by"], stored["updated_by"], stored["deleted_at"]) == (7, 7, None)
    found = await container.user_dao().get(row.id)
    assert (found.role, found.status) == (Role.USER, UserStatus.ACTIVE)
    assert before <= found.created_at <= utc_now()
    assert found.updated_at == found.created_at == row.created_at


async def test_the_id_holds_the_moment_and_the_node(container: Container) -> None:
    with acting_as(SYSTEM):
        row = await container.user_dao().add(user())
    made = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(milliseconds=row.id >> 22)
    assert abs(made - row.created_at) < timedelta(seconds=5)
    assert row.id >> 10 & 0xFFF == container.id_generator().node_id


async def test_acting_user_zero_may_write(container: Container) -> None:
    """Trap 29: user id 0 was falsy, so sign-up could not insert."""
    with acting_as(SYSTEM):
        row = await container.user_dao().add(user())
        await container.user_dao().update().eq("id", row.id).set(display_name="Ann").execute()
    found = await container.user_dao().get(row.id)
    assert (found.created_by, found.updated_by, found.version) == (0, 0, 2)


async def test_a_write_without_an_acting_user_is_refused_and_stores_nothing(container: Container) -> None:
    with pytest.raises(NoActingUser, match="acting_as"):
        await container.user_dao().add(user())
    with pytest.raises(NoActingUser, match="acting_as"):
        await container.user_dao().update().eq("id", 1).set(display_name="x").execute()
    assert await container.user_dao().count(include_deleted=True).rows() == 0


async def test_a_change_stamps_who_when_and_which_version(container: Container) -> None:
    with acting_as(1):
        row = await container.user_dao().add(user())
    created = row.created_at
    with acting_as(2):
        async with container.transaction()() as tx:
            found = await container.user_dao().get(row.id)
            found.change({"display_name": "Ann"})
            await tx.session.flush()
            assert (found.version, found.updated_by) == (2, 2)
    found = await container.user_dao().get(row.id)
    assert (found.version, found.created_by, found.updated_by) == (2, 1, 2)
    assert found.created_at == created < found.updated_at


async def test_a_change_that_changes_nothing_stamps_nothing(container: Container) -> None:
    with acting_as(1):
        row = await container.user_dao().add(user())
        async with container.transaction()():
            (await container.user_dao().get(row.id)).change({"email": row.email, "display_name": None})
    assert (await container.user_dao().get(row.id)).version == 1


async def test_inserts_and_updates_written_by_hand_are_stamped_too(container: Container) -> None:
    with acting_as(3):
        async with container.transaction()() as tx:
            rows = [{"email": f"{name}@b.c", "email_key": f"{name}@b.c"} for name in "abc"]
            await tx.session.execute(insert(User), rows)
        async with container.transaction()() as tx:
            await tx.session.execute(update(User).where(User.email_key == "a@b.c").values(display_name="A"))
    found = await container.user_dao().query().order_by("email").all()
    assert [(row.version, row.created_by, row.updated_by) for row in found] == [(2, 3, 3), (1, 3, 3), (1, 3, 3)]
    assert len({row.id for row in found}) == 3
    assert found[0].updated_at > found[0].created_at


async def test_the_loser_of_two_changes_gets_a_stale_version(container: Container) -> None:
    """Trap 13: lost updates were invisible."""
    dao = container.user_dao()
    with acting_as(SYSTEM):
        row = await dao.add(user())

        async def change_late() -> None:
            async with container.transaction()() as tx:
                found = await dao.get(row.id)
                await tx.session.execute(text("UPDATE users SET version = 5"))
                found.change({"display_name": "loser"})

        with pytest.raises(StaleVersion, match="Read it again"):
            await change_late()
        assert await dao.update().eq("id", row.id).set(display_name="winner").execute() == 1
    found = await dao.get(row.id)
    assert (found.display_name, found.version) == ("winner", 2)


async def test_a_session_that_is_not_ours_can_not_make_ids(container: Container) -> None:
    from sqlalchemy.ext.asyncio import AsyncSession

    with acting_as(SYSTEM):
        async with AsyncSession(container.engine()) as session:
            session.add(user())
            with pytest.raises(NoIdGenerator, match="session provider"):
                await session.flush()
            await session.rollback()
            own = user()
            own.id = 1
            session.add(own)
            await session.commit()
    assert await container.user_dao().count().rows() == 1
