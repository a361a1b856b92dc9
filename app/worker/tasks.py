"""The tasks: each calls one service method, and says when."""

from datetime import timedelta
from typing import Any, Final

from app.worker.application import celery_app, task
from containers import Container
from services.messaging.broker import DELIVER

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


@task(DELIVER, ignore_result=True)
async def deliver(container: Container, message_id: str) -> str:
    """Handle a message of the outbox."""
    return await container.inbox_service().handle(int(message_id))


@task("gatehouse.purge_users")
async def purge_users(container: Container) -> int:
    """Delete accounts for good whose time to be restored is over."""
    return await container.retention_service().purge_users()


@task("gatehouse.purge_tokens")
async def purge_tokens(container: Container) -> int:
    """Delete tokens that expired some time ago."""
    return await container.retention_service().purge_tokens()


@task("gatehouse.purge_idempotency_keys")
async def purge_idempotency_keys(container: Container) -> int:
    """Delete answers that are no longer given again."""
    return await container.retention_service().purge_idempotency_keys()


@task("gatehouse.purge_inbox")
async def purge_inbox(container: Container) -> int:
    """Delete old proofs that messages are done."""
    return await container.retention_service().purge_inbox()


@task("gatehouse.purge_jobs")
async def purge_jobs(container: Container) -> int:
    """Delete jobs that ended long ago."""
    return await container.retention_service().purge_jobs()


@task("gatehouse.mend_keys")
async def mend_keys(container: Container) -> int:
    """Make the keys of addresses and names that another version has stored; how many faults are left."""
    return await container.contact_check().mend()


SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    name: {"task": f"gatehouse.{name}", "schedule": HOUR, "options": {"expires": HOUR.total_seconds()}}
    for name in ("purge_users", "purge_tokens", "purge_idempotency_keys", "purge_inbox", "purge_jobs")
} | {"mend_keys": {"task": "gatehouse.mend_keys", "schedule": DAY, "options": {"expires": DAY.total_seconds()}}}
"""Celery beat sends these; an hour, or a day, that no worker was there for is left out."""
celery_app.add_defaults(lambda: {"beat_schedule": SCHEDULE})
