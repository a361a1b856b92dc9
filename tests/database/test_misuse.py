"""What is typed instead of the right block, or the right end, says what to write."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from containers import Container, running
from domain import Job, OutboxMessage, Token, User
from settings import Settings
from unitwork.errors import SchemaOutdated
from unitwork.models import SYSTEM, acting_as


async def test_a_provider_that_is_not_called_names_the_call(container: Container) -> None:
    with pytest.raises(TypeError, match=r"call it: .*`async with transaction\(\):`"):
        async with container.transaction():
            pass
    with pytest.raises(TypeError, match=r"`async with session_provider\(\):`"):
        async with container.session_provider():
            pass
    with pytest.raises(TypeError, match="call it"), container.transaction():
        pass
    with pytest.raises(TypeError, match="call it"):
        await container.transaction()


async def test_a_block_is_entered_by_async_with_alone(container: Container) -> None:
    blocks: tuple[Any, ...] = (container.transaction()(), container.session_provider()())
    for block in blocks:
        with pytest.raises(TypeError, match="write `async with`"), block:
            pass
        with pytest.raises(TypeError, match="write `async with`"):
            await block


async def test_ending_a_transaction_by_hand_names_its_block(container: Container) -> None:
    transaction, users = container.transaction(), container.user_service()
    with acting_as(SYSTEM):
        async with transaction() as tx:
            await users.create({"email": "kept@example.com"})
            for method, words in (("commit", "left normally"), ("rollback", "set_rollback_only"), ("close", "left")):
                with pytest.raises(TypeError, match=words):
                    getattr(tx, method)()
    assert await users.find("kept@example.com"), "the mistake alone dooms nothing"


async def test_a_builder_without_an_end_names_one(container: Container) -> None:
    users = container.user_dao()
    with pytest.raises(TypeError, match=r"awaited before it has run; .*\.all\(\)"):
        await users.query()
    with pytest.raises(TypeError, match=r"iterated before it has run"):
        list(users.query())
    with pytest.raises(TypeError, match=r"iterated before it has run"):
        [user async for user in users.query()]
    with pytest.raises(TypeError, match=r"Count.*\.rows\(\)"):
        await users.count()
    with pytest.raises(TypeError, match=r"Update.*\.execute\(\)"):
        await users.update().set(display_name="x").eq("id", 1)
    with pytest.raises(TypeError, match=r"Delete.*\.execute\(\)"):
        await users.delete().eq("id", 1)


async def test_a_repr_names_the_row_and_nothing_of_the_person(container: Container) -> None:
    with acting_as(SYSTEM):
        created = await container.user_service().create(
            {"email": "canary@example.com", "phone": "+14155550132", "display_name": "Canary"},
            password="canary canary canary",
        )
    text = repr(created)
    assert text.startswith(f"User(id={created.id}, role=user, status=active, version=1")
    assert "canary" not in text.lower()
    assert "4155550132" not in text


@pytest.mark.parametrize("model", [User, Token, Job, OutboxMessage])
async def test_a_repr_never_asks_the_database(container: Container, model: type) -> None:
    assert repr(model()) == f"{model.__name__}()"
    row = User(email="canary@example.com", email_key="canary@example.com")
    with acting_as(SYSTEM):
        async with container.transaction()() as tx:
            tx.session.add(row)
            await tx.session.flush()
            row_id = row.id
            tx.session.expire(row)
            assert repr(row) == f"User(id={row_id})", "only its key is known of an expired row"
            tx.session.expunge(row)
            assert inspect(row).detached
            assert repr(row).startswith("User(id=")


async def test_a_token_s_repr_has_no_digest(container: Container) -> None:
    with acting_as(SYSTEM):
        created = await container.user_service().create({"email": "token@example.com"})
        token, secret = await container.auth_service().issue(created.id)
    assert repr(token).startswith(f"Token(id={token.id}, user_id={created.id}, kind=")
    assert token.digest not in repr(token)
    assert secret not in repr(token)


async def test_a_missing_table_names_the_database_in_force(tmp_path: Path) -> None:
    unmade = Settings.model_validate({"database": {"url": f"sqlite:///{tmp_path}/empty.db"}, "var_dir": tmp_path})
    with pytest.raises(SchemaOutdated, match=r"no such table.*in the database in force, /.*empty\.db\. Bring"):
        async with running(Container(settings=unmade)) as container:
            await container.user_dao().query().all()
