"""celery_app: the Celery application. Reads the settings when it is first used, not when it is imported."""

import logging
import signal
from collections.abc import Callable
from typing import Any, Final

from billiard.process import current_process
from celery import Celery
from celery.signals import (
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
)

from app.logs import configure_logs
from app.private_files import keep_private, only_for_owner
from app.worker.process import WorkerProcess
from app.worker.service_task import Work, send_context, service_task

log = logging.getLogger("gatehouse.worker")

MAIN_PROCESS: Final = "MainProcess"
celery_app: Final = Celery("gatehouse", set_as_current=False, include=["app.worker.tasks"])
worker_process: Final = WorkerProcess()
"""This process's loop and container. `build` may be replaced before it is opened."""


def task(name: str, **options: Any) -> Callable[[Work[..., Any]], Any]:
    """Register `async def function(container, …)` as a task of the worker; see `service_task`."""
    return service_task(celery_app, worker_process, name, **options)


def _options() -> dict[str, Any]:
    return worker_process.build().broker().options() | {"worker_consumer": "app.worker.consumer:Consumer"}


def _configure_logs(**_: Any) -> None:
    settings = worker_process.build().settings()
    only_for_owner()  # the schedule's files are made by Celery
    keep_private(settings.var_dir)
    configure_logs(settings)


def _open(**_: Any) -> None:
    if current_process().name != MAIN_PROCESS:  # solo sends this too
        # Service managers send SIGTERM to the whole group. Its main process alone decides: it lets its children end.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        worker_process.limited_by_signal = True
    worker_process.open()


def _close(**_: Any) -> None:
    worker_process.close()


celery_app.add_defaults(_options)
send_context()
for event, receiver in (
    (setup_logging, _configure_logs),
    (worker_process_init, _open),
    (worker_process_shutdown, _close),
    (worker_shutdown, _close),
):
    event.connect(receiver, weak=False, dispatch_uid=receiver.__name__)
