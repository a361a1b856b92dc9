"""The audit trail: who did what, in the transaction that did it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update

from containers import Container
from domain import Token, User
from repositories import AuditDao
from tests.repositories.accounts import account
from unitwork import Propagation
from unitwork.audit import CONFIDENTIAL, AuditAction, Audited, AuditEntry
from unitwork.models import SYSTEM, acting_as, bound_request_id
from unitwork.models.base import Base


async def entries(container: Container) -> list[AuditEntry]:
    return await container.audit_dao().query().order_by("id").all()


async def test_a_new_row_is_recorded_with_its_values_its_author_and_the_request(container: Container) -> None:
    with acting_as(42), bound_request_id("req-1"):
        user = await container.user_dao().add(account(display_name="Ann", password_hash="$argon2id$secret"))
    (entry,) = await entries(container)
    assert (entry.action, entry.record_type, entry.record_id, entry.record_version) == ("created", "users", user.id, 1)
    assert (entry.created_by, entry.request_id, entry.row_count) == (42, "req-1", 1)
    assert entry.created_at >= user.created_at
    assert entry.changes == {
        "email": {"after": "ann@example.com"},
        "email_key": {"after": "ann@example.com"},
        "display_name": {"after": "Ann"},
        "role": {"after": "user"},
        "status": {"after": "active"},
        "password_hash": {},
    }


async def test_a_change_is_recorded_with_both_values_and_only_where_there_is_one(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ann@example.com", "display_name": "Ann"})
        await container.user_service().update(user.id, {"display_name": "Anna", "email": "ann@example.com"})
        await container.user_service().update(user.id, {"display_name": "Anna"})
    _, entry = await entries(container)
    assert entry.action == "changed"
    assert entry.record_version == 2
    assert entry.changes == {"display_name": {"before": "Ann", "after": "Anna"}}


async def test_soft_delete_restore_and_purge_are_recorded_by_their_names(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_dao().add(account(display_name="Ann"))
        deleted = await container.user_dao().soft_delete(user.id)
        moment = deleted.deleted_at
        await container.user_dao().restore(user.id)
        await container.user_dao().purge(user.id)
    created, deletion, restoring, purging = await entries(container)
    assert created.action == "created"
    assert (deletion.action, deletion.changes) == ("deleted", {"deleted_at": {"before": None, "after": moment}})
    assert (restoring.action, restoring.changes) == ("restored", {"deleted_at": {"before": moment, "after": None}})
    assert purging.action == "purged"
    assert purging.record_id == user.id
    assert purging.changes["display_name"] == {"before": "Ann"}


async def test_what_is_rolled_back_is_not_recorded(container: Container) -> None:
    transaction, users = container.transaction(), container.user_dao()
    with acting_as(SYSTEM):
        with pytest.raises(ZeroDivisionError):
            async with transaction():
                await users.add(account("gone@example.com"))
                raise ZeroDivisionError
        async with transaction():
            kept = await users.add(account("kept@example.com"))
            with pytest.raises(ZeroDivisionError):
                async with transaction(Propagation.NESTED):
                    await users.add(account("undone@example.com"))
                    raise ZeroDivisionError
    (entry,) = await entries(container)
    assert entry.record_id == kept.id


async def test_all_rows_of_a_flush_are_told_by_one_insert(
    container: Container, assert_queries: Callable[..., Any]
) -> None:
    users = container.user_dao()
    with acting_as(SYSTEM), assert_queries(exactly=2):
        await users.add_many([account("a@example.com"), account("b@example.com")])
    assert len(await entries(container)) == 2


async def test_an_unaudited_model_is_not_recorded(container: Container, assert_queries: Callable[..., Any]) -> None:
    with acting_as(SYSTEM):
        user = await container.user_dao().add(account())
        with assert_queries(exactly=3):  # the account is read, the token stored, and the event that tells of it
            await container.auth_service().issue(user.id)
    assert [entry.record_type for entry in await entries(container) if entry.event is None] == ["users"]


def test_columns_that_hold_secrets_say_so() -> None:
    """Whoever makes one of these models audited later records no secret."""
    secret = {
        f"{mapper.local_table.description}.{column.key}"
        for mapper in Base.registry.mappers
        for column in mapper.columns
        if any(word in column.key for word in ("password", "digest", "secret", "token_hash"))
    }
    marked = {
        f"{mapper.local_table.description}.{column.key}"
        for mapper in Base.registry.mappers
        for column in mapper.columns
        if column.info.get(CONFIDENTIAL)
    }
    assert secret
    assert secret <= marked
    assert issubclass(User, Audited)


async def test_history_is_paged_newest_first(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ann@example.com"})
        for number in range(4):
            await container.user_service().update(user.id, {"display_name": f"Ann {number}"})
        await container.user_dao().add(account("bob@example.com"))
    seen, cursor = [], None
    while True:
        page = await container.audit_service().history(user.id, limit=2, cursor=cursor)
        seen += [entry.record_version for entry in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2, 1]


async def test_a_purge_can_forget_a_persons_values_and_keeps_who_when_and_which(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repositories.audit_dao.BATCH", 2)
    audit: AuditDao = container.audit_dao()
    with acting_as(42):
        bob = await container.user_dao().add(account("bob@example.com", display_name="Bob"))
        user = await container.user_dao().add(account("ann@example.com", display_name="Ann Example"))
        for number in range(3):
            await container.user_service().update(user.id, {"display_name": f"Ann {number}"})
        before = [
            (entry.id, entry.created_at, entry.created_by, list(entry.changes)) for entry in await entries(container)
        ]
    with acting_as(SYSTEM):
        async with container.transaction()():
            await container.user_dao().purge(user.id)
            assert await audit.forget_values(user.id) == 5
    after = await entries(container)
    assert [(one.id, one.created_at, one.created_by, list(one.changes)) for one in after][:5] == before
    assert "Ann" not in repr([entry.changes for entry in after])
    assert "ann@" not in repr([entry.changes for entry in after])
    assert after[0].record_id == bob.id
    assert after[0].changes["display_name"] == {"after": "Bob"}


async def test_a_builders_update_is_told_row_by_row_with_both_values(container: Container) -> None:
    users = container.user_dao()
    with acting_as(SYSTEM):
        ann, bob, eve = await users.add_many([account(f"{name}@example.com", display_name=name) for name in "abe"])
        await users.update().in_("id", [ann.id, bob.id]).set(display_name="x").execute()
        await users.update().eq("id", eve.id).set(display_name=User.display_name + "!").returning()
        await users.update().eq("id", eve.id).set(display_name="e!").execute()
    told = {entry.record_id: entry for entry in await entries(container) if entry.action == "changed"}
    assert {id_: entry.changes for id_, entry in told.items()} == {
        ann.id: {"display_name": {"before": "a", "after": "x"}},
        bob.id: {"display_name": {"before": "b", "after": "x"}},
        eve.id: {"display_name": {"before": "e", "after": "e!"}},
    }
    assert {entry.record_version for entry in told.values()} == {2}


async def test_a_builders_update_keeps_secrets_out(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_dao().add(account(password_hash="$argon2id$old"))
        await container.user_dao().update().eq("id", user.id).set(password_hash="$argon2id$new").execute()
    _, entry = await entries(container)
    assert entry.changes == {"password_hash": {}}


async def test_a_builders_delete_is_told_row_by_row(container: Container) -> None:
    users = container.user_dao()
    with acting_as(SYSTEM):
        ann, bob = await users.add_many([account("ann@example.com"), account("bob@example.com")])
        await users.soft_delete(bob.id)
        await users.delete().eq("id", ann.id).execute()
    told = [(entry.action, entry.record_id) for entry in await entries(container)]
    assert told[-1] == ("purged", ann.id)
    assert ("purged", bob.id) not in told


async def test_a_builders_write_that_rolls_back_is_not_told(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_dao().add(account(display_name="Ann"))
        with pytest.raises(ZeroDivisionError):
            async with container.transaction()():
                await container.user_dao().update().eq("id", user.id).set(display_name="x").execute()
                raise ZeroDivisionError
    assert [entry.action for entry in await entries(container)] == ["created"]


async def test_a_write_of_very_many_rows_is_told_by_one_entry_with_their_number(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitwork.audit.trail.MAX_ROWS", 2)
    users = container.user_dao()
    with acting_as(7):
        await users.add_many([account(f"user{number}@example.com") for number in range(3)])
        assert await users.update().all_rows().set(display_name="x").execute() == 3
    *_, entry = await entries(container)
    assert (entry.action, entry.record_id, entry.row_count, entry.created_by) == ("changed", None, 3, 7)
    assert entry.changes == {}


async def test_a_bulk_insert_is_told_by_one_entry_with_the_number_of_its_rows(container: Container) -> None:
    rows = [{"email": f"{name}@example.com", "email_key": f"{name}@example.com"} for name in "abc"]
    with acting_as(SYSTEM):
        async with container.transaction()() as transaction:
            await transaction.session.execute(insert(User), rows)
    (entry,) = await entries(container)
    assert (entry.action, entry.record_type, entry.record_id, entry.row_count) == ("created", "users", None, 3)


async def test_textual_sql_and_unaudited_tables_are_not_told(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_dao().add(account())
        async with container.transaction()() as transaction:
            await transaction.session.execute(text("UPDATE users SET display_name = 'x'"))
            await transaction.session.execute(delete(Token).where(Token.user_id == user.id))
    assert [entry.action for entry in await entries(container)] == ["created"]


async def test_what_returns_models_is_told_however_it_is_said(container: Container) -> None:
    values = {"id": 1, "email": "ann@example.com", "email_key": "ann@example.com"}
    stored = insert(User).values(values).returning(User)
    changed = update(User).where(User.id == 1).values(display_name="Ann").returning(User)
    purged = delete(User).where(User.id == 1).returning(User)
    if not container.engine().dialect.update_returning:
        pytest.skip("this database returns no models")
    with acting_as(SYSTEM):
        async with container.transaction()() as tx:
            await tx.session.run_sync(lambda session: session.scalars(stored).one())
            whole = select(User).from_statement(changed)
            assert (await tx.session.scalars(whole)).one().display_name == "Ann"
            await tx.session.run_sync(lambda session: session.scalars(select(User).from_statement(purged)).one())
    assert [entry.action for entry in await entries(container)] == [
        AuditAction.CREATED,
        AuditAction.CHANGED,
        AuditAction.PURGED,
    ]
