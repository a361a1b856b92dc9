"""Celery tasks: each enters its process's one loop and one running container, and calls one service.

Here: `celery_app`, `task` to register one, the schedule. Not here: what a task does (`services`), how a message gets
from a transaction to a worker (`services.messaging.outbox_relay`). Never imports `app.api` or `app.cli`.
"""

from app.worker.application import celery_app, task, worker_process

__all__ = ["celery_app", "task", "worker_process"]
