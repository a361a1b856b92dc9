"""Periodic and message tasks, each calling one service method, and their schedule."""

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
    within = timedelta(seconds=container.settings().worker.soft_time_limit)
    return await container.inbox_service().handle(int(message_id), within=within)


@task("gatehouse.purge_users")
async def purge_users(container: Container) -> int:
    """Delete permanently the accounts whose restore period has ended."""
    return await container.retention_service().purge_users()


@task("gatehouse.purge_tokens")
async def purge_tokens(container: Container) -> int:
    """Delete tokens that expired some time ago."""
    return await container.retention_service().purge_tokens()


@task("gatehouse.purge_idempotency_keys")
async def purge_idempotency_keys(container: Container) -> int:
    """Delete stored answers that are no longer repeated."""
    return await container.retention_service().purge_idempotency_keys()


@task("gatehouse.purge_inbox")
async def purge_inbox(container: Container) -> int:
    """Delete old records of messages that are done."""
    return await container.retention_service().purge_inbox()


@task("gatehouse.purge_jobs")
async def purge_jobs(container: Container) -> int:
    """Delete jobs that ended long ago."""
    return await container.retention_service().purge_jobs()


@task("gatehouse.mend_keys")
async def mend_keys(container: Container) -> int:
    """Recompute keys of addresses and names that another version stored; return the number of remaining faults."""
    return await container.contact_check().mend()


SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    name: {"task": f"gatehouse.{name}", "schedule": HOUR, "options": {"expires": HOUR.total_seconds()}}
    for name in ("purge_users", "purge_tokens", "purge_idempotency_keys", "purge_inbox", "purge_jobs")
} | {"mend_keys": {"task": "gatehouse.mend_keys", "schedule": DAY, "options": {"expires": DAY.total_seconds()}}}
"""Schedule for Celery beat. A run that no worker was available for is skipped."""
celery_app.add_defaults(lambda: {"beat_schedule": SCHEDULE})
