"""A model that a DAO has read without a session does in one, and beside one, what a plain session's own does."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, inspect
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain.job import Job, JobFilePart
from tests.repositories.portraits import copies, differing, seen
from tests.repositories.specimens import Specimen
from tests.repositories.zoo import Lion
from tests.repositories.zoo_visit import Zoo, database_url, on_databases, ordered  # noqa: F401 - a fixture
from unitwork.dao import BaseDao
from unitwork.dao.statements.selection import primary_key
from unitwork.errors import StaleVersion
from unitwork.models import Base
from unitwork.rows.instances import instance_plan

pytestmark = on_databases


async def read(zoo: Zoo, specimen: Specimen) -> list[Any]:
    """All rows as the plan of a statement that was sent before gives them."""
    for _ in range(3):
        found = await zoo.dao(specimen).query(include_deleted=True).all()
    return found


async def test_in_another_session(zoo: Zoo) -> None:
    """Added, refreshed, expunged, merged with and without loading, changed, deleted."""
    await zoo.store(zoo.specimens)
    told = []
    for specimen in zoo.specimens:
        if not specimen.paged:  # rows of one identity
            continue
        ours, theirs = await read(zoo, specimen), await zoo.rows(specimen)
        for step in STEPS:
            results = []
            for rows in (ours, theirs):
                async with zoo.plain() as session:
                    results.append([one for row in rows for one in seen(await step(session, row, specimen))])
                    await session.rollback()
            told += differing(f"{specimen} {step.__name__}", *results)
            ours, theirs = await read(zoo, specimen), await zoo.rows(specimen)
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


async def added(session: AsyncSession, row: Any, _specimen: Specimen) -> list[Any]:
    session.add(row)
    assert await session.get(type(row), inspect(row).identity) is row
    return [row]


async def refreshed(session: AsyncSession, row: Any, _specimen: Specimen) -> list[Any]:
    session.add(row)
    await session.refresh(row)
    return [row]


async def expunged(session: AsyncSession, row: Any, _specimen: Specimen) -> list[Any]:
    session.add(row)
    session.expunge(row)
    return [row]


async def merged(session: AsyncSession, row: Any, _specimen: Specimen) -> list[Any]:
    return [await session.merge(row)]


async def merged_unloaded(session: AsyncSession, row: Any, _specimen: Specimen) -> list[Any]:
    return [await session.merge(row, load=False)]


async def changed(session: AsyncSession, row: Any, specimen: Specimen) -> list[Any]:
    session.add(row)
    for name, value in specimen.changes.items():
        if name not in {"updated_at", "updated_by"}:
            setattr(row, name, value)
    return [row]


async def deleted(session: AsyncSession, row: Any, _specimen: Specimen) -> list[Any]:
    session.add(row)
    await session.delete(row)
    await session.flush()
    return [row]


async def copied(_session: AsyncSession, row: Any, _specimen: Specimen) -> list[Any]:
    return copies(row)


STEPS: list[Callable[..., Any]] = [
    added,
    refreshed,
    expunged,
    merged,
    merged_unloaded,
    changed,
    deleted,
    copied,
]


async def test_a_change_is_an_update_of_that_column_and_of_that_version(zoo: Zoo) -> None:
    specimen = next(one for one in zoo.specimens if one.model is Lion)
    await zoo.store([specimen])
    lion, stale = (await read(zoo, specimen))[0], (await read(zoo, specimen))[0]
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    engine = zoo.container.engine().sync_engine
    async with zoo.container.transaction()() as tx:
        tx.session.add(lion)
        lion.name = "Nala"
        event.listen(engine, "before_cursor_execute", note)
        await tx.session.flush()
        event.remove(engine, "before_cursor_execute", note)
    [statement] = [one for one in sent if one.startswith("UPDATE")]
    assert statement.startswith("UPDATE lions SET name=")
    assert "weight" not in statement
    assert "lions.version = " in statement
    with pytest.raises(StaleVersion):
        async with zoo.container.transaction()() as tx:
            tx.session.add(stale)
            stale.name = "Mufasa"
    assert (await zoo.dao(specimen).get(lion.id)).name == "Nala"


async def test_one_row_is_one_object_in_a_transaction_and_keeps_what_was_changed(zoo: Zoo) -> None:
    specimen = next(one for one in zoo.specimens if one.model is Lion)
    await zoo.store([specimen])
    dao = zoo.dao(specimen)
    before = (await read(zoo, specimen))[0]
    for autoflush in (True, False):
        async with zoo.container.transaction()(autoflush=autoflush) as tx:
            mine = await tx.session.get(Lion, before.id)
            assert mine is not None
            mine.weight = None
            assert await dao.get(before.id) is mine
            assert (await dao.get_many([before.id, before.id])) == [mine, mine]
            assert (await dao.query().all())[0] is mine
            assert mine.weight is None
            [one, *_] = await dao.update().eq("id", before.id).set(name=f"{autoflush}").returning()
            assert one is mine
            assert (mine.name, mine.weight) == (f"{autoflush}", None)
            added = await dao.add(Lion(id=77 + autoflush, created_by=1, updated_by=1))
            assert await dao.get(added.id) is added
            assert await tx.session.get(Lion, added.id) is added
        after = await dao.get(before.id)
        assert (after.name, after.weight) == (f"{autoflush}", None)
        await dao.update().eq("id", before.id).set(weight=1).execute()


async def test_nothing_holds_what_nobody_holds(zoo: Zoo) -> None:
    specimen = next(one for one in zoo.specimens if one.model is Lion)
    await zoo.store([specimen])
    rows = [weakref.ref(row) for row in await read(zoo, specimen)]
    gc.collect()
    assert [row() for row in rows] == [None] * len(rows)


async def test_every_model_of_the_domain(container: Container) -> None:
    """Each can be put into a session as it was read, and is what the session would have read."""
    await store_accounts(container)
    told = []
    for mapper in Base.registry.mappers:
        model: Any = mapper.class_
        if not model.__module__.startswith("domain."):
            continue
        dao = BaseDao(container.session_provider(), model)
        key = [getattr(model, name) for name in primary_key(model)]
        for _ in range(3):
            found = await dao.query(include_deleted=True).all()
        async with AsyncSession(container.engine(), expire_on_commit=False) as session:
            wanted = list((await session.scalars(ordered(Specimen(model, lambda _: {})))).all())
        assert instance_plan(model) is not None, model
        assert key
        assert [inspect(row).identity_key for row in found] == [inspect(row).identity_key for row in wanted]
        told += differing(model.__name__, seen(found), seen(wanted))
        assert found or model.__tablename__ not in {
            "users",
            "tokens",
            "audit_entries",
            "outbox_messages",
            "job_file_parts",
        }
        async with container.transaction()() as tx:
            tx.session.add_all(found)
            assert all([await tx.session.get(model, inspect(row).identity) is row for row in found])
    assert not told, "\n" + "\n".join(told)


async def store_accounts(container: Container) -> None:
    """A row of every model that an account has anything to do with."""
    async with container.transaction()():
        user = await container.user_service().create({"email": "ann@example.com"})
        await container.auth_service().issue(user.id)
        await container.outbox_service().append("topic", {"a": None})
        job = await container.job_dao().add(Job(kind="import"))
        await BaseDao(container.session_provider(), JobFilePart).add(JobFilePart(job_id=job.id, number=1, content=b"a"))
