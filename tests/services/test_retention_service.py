"""RetentionService: what has been kept long enough goes, and nothing else."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import InboxMessage, Job, JobStatus, Token, User
from domain.job import JobFilePart
from unitwork.audit.entry import AuditEntry
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now

LONG_AGO = timedelta(days=1000)


@pytest.fixture(autouse=True)
def _acting() -> Iterator[None]:
    with acting_as(SYSTEM):
        yield


async def count(session: AsyncSession, model: type) -> int:
    return await session.scalar(select(func.count()).select_from(model)) or 0


async def test_an_account_goes_with_its_tokens_once_its_time_to_be_restored_is_over(
    container: Container, session: AsyncSession
) -> None:
    users = container.user_service()
    old, recent, kept = [await users.create({"email": f"{name}@example.com"}) for name in ("old", "recent", "kept")]
    for user in (old, recent):
        await container.auth_service().issue(user.id)
        await users.delete(user.id)
    await session.execute(update(User).where(User.id == old.id).values(deleted_at=utc_now() - LONG_AGO))
    assert await container.retention_service().purge_users() == 1
    assert {user.id for user in await session.scalars(select(User))} == {recent.id, kept.id}
    assert [token.user_id for token in await session.scalars(select(Token))] == [recent.id]
    assert await container.retention_service().purge_users(retain=timedelta(0)) == 1
    assert await count(session, User) == 1


async def test_the_audit_trail_keeps_who_and_when_and_which_fields_of_a_purged_account_but_no_values(
    container: Container, session: AsyncSession
) -> None:
    users = container.user_service()
    gone, kept = [await users.create({"email": f"{name}@example.com"}) for name in ("gone", "kept")]
    with acting_as(gone.id):
        await users.update(gone.id, {"display_name": "Canary"})
    await users.delete(gone.id)
    before = list(await session.scalars(select(AuditEntry).where(AuditEntry.record_id == gone.id)))
    await container.retention_service().purge_users(retain=timedelta(0))
    entries = list(
        await session.scalars(select(AuditEntry).where(AuditEntry.record_id == gone.id).order_by(AuditEntry.id))
    )
    assert [entry.action for entry in entries] == ["created", "changed", "deleted", "purged"]
    assert [entry.created_by for entry in entries] == [SYSTEM, gone.id, SYSTEM, SYSTEM]
    assert {entry.id: entry.created_at for entry in before}.items() <= {e.id: e.created_at for e in entries}.items()
    assert entries[1].changes == {"display_name": {}}
    assert all(not values for entry in entries for values in entry.changes.values())
    (untouched,) = await session.scalars(select(AuditEntry).where(AuditEntry.record_id == kept.id))
    assert untouched.changes["email"] == {"after": "kept@example.com"}


async def test_tokens_jobs_and_proofs_go_when_they_are_old(container: Container, session: AsyncSession) -> None:
    user = await container.user_service().create({"email": "ada@example.com"})
    for _ in range(2):
        token, _ = await container.auth_service().issue(user.id)
    old = utc_now() - LONG_AGO
    await session.execute(update(Token).where(Token.id == token.id).values(expires_at=old))
    session.add_all([InboxMessage(id=1, topic="t", done_at=old), InboxMessage(id=2, topic="t")])
    await session.flush()
    jobs = [
        Job(kind="k", status=JobStatus.DONE, finished_at=old),
        Job(kind="k", status=JobStatus.FAILED, finished_at=utc_now()),
        Job(kind="k", status=JobStatus.RUNNING),
    ]
    await container.job_dao().add_many(jobs)
    for job in jobs:
        await container.job_dao().add_part(job.id, 0, b"email\n")
    retention = container.retention_service()
    assert [await retention.purge_tokens(), await retention.purge_inbox(), await retention.purge_jobs()] == [1, 1, 1]
    assert [await retention.purge_tokens(), await retention.purge_inbox(), await retention.purge_jobs()] == [0, 0, 0]
    assert [await count(session, model) for model in (Token, InboxMessage, Job, JobFilePart)] == [1, 1, 2, 2]


@pytest.mark.database("own")
async def test_purges_side_by_side_purge_each_account_once(container: Container, session: AsyncSession) -> None:
    users = container.user_dao()
    await users.add_many([User.create({"email": f"user{number}@example.com"}) for number in range(170)])
    await session.execute(update(User).values(deleted_at=utc_now() - LONG_AGO))
    retention = container.retention_service()
    purged = await asyncio.gather(*(retention.purge_users() for _ in range(3)))
    assert sum(purged) == 170
    assert await count(session, User) == 0
