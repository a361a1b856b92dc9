"""Broker: the broker's URL and Celery's configuration for it, shared by publishers and workers."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, Self

DELIVER: Final = "gatehouse.deliver"
"""Name of the task that handles an outbox message; its argument is the message's id."""
ACTING_USER: Final = "gatehouse_acting_user"
REQUEST_ID: Final = "gatehouse_request_id"
TRACE_PARENT: Final = "traceparent"
POSITION: Final = "gatehouse_position"
"""Task headers: the acting user, the request, the trace, and the position in the database's log to read after."""

BROKER_FILE: Final = "broker.db"
RESULTS_FILE: Final = "results.db"
EMBEDDED: Final = "sqlalchemy+sqlite:///"
SOCKET_TIMEOUT: Final = 5.0
"""Seconds that a publisher waits for the broker."""
BACKSTOP: Final = 5.0
"""Seconds from the hard time limit, at which a process ends itself, until Celery's pool kills it."""


class BrokerOptions(Protocol):
    """The broker, its queue and the limits of its tasks. The settings' section implements it."""

    @property
    def broker(self) -> str | None: ...

    @property
    def results(self) -> str | None: ...

    @property
    def queue(self) -> str: ...

    @property
    def soft_time_limit(self) -> float: ...

    @property
    def hard_time_limit(self) -> float: ...

    @property
    def visibility_timeout(self) -> float: ...


class Broker:
    """The broker at a URL, or without one the embedded broker, a file in `folder`. It opens no connection."""

    def __init__(
        self,
        url: str | None,
        results_url: str | None,
        folder: Path,
        queue: str,
        soft_time_limit: float,
        hard_time_limit: float,
        visibility_timeout: float,
    ) -> None:
        self.url = url or f"{EMBEDDED}{folder.absolute() / BROKER_FILE}"
        self._results_url = results_url or (
            self.url if self.redis else f"db+sqlite:///{folder.absolute() / RESULTS_FILE}"
        )
        self._folder = folder
        self._queue = queue
        self._soft_time_limit = soft_time_limit
        self._hard_time_limit = hard_time_limit
        self._visibility_timeout = visibility_timeout

    @classmethod
    def of(cls, options: BrokerOptions, folder: Path) -> Self:
        """Return the broker of these options."""
        return cls(
            options.broker,
            options.results,
            folder,
            options.queue,
            options.soft_time_limit,
            options.hard_time_limit,
            options.visibility_timeout,
        )

    @property
    def embedded(self) -> bool:
        """True if the broker is a SQLite file on this machine."""
        return self.url.startswith(EMBEDDED)

    @property
    def redis(self) -> bool:
        """True for Redis, which redelivers an unacknowledged task after the visibility timeout."""
        return self.url.startswith(("redis", "valkey"))

    def options(self) -> dict[str, Any]:
        """Return Celery's configuration. Only JSON is accepted; a task is acknowledged when it ends, and redelivered if
        its process is lost.
        """
        self._make_files()
        return {
            "broker_url": self.url.removeprefix("sqlalchemy+") if self.embedded else self.url,
            "broker_transport": "services.messaging.embedded_broker:EmbeddedBroker" if self.embedded else None,
            "broker_transport_options": self._transport_options(),
            "broker_connection_retry_on_startup": True,
            "broker_connection_max_retries": None,
            "broker_connection_timeout": SOCKET_TIMEOUT,
            "result_backend": self._results_url,
            "result_expires": 86_400,
            "accept_content": ["json"],
            "result_accept_content": ["json"],
            "task_serializer": "json",
            "result_serializer": "json",
            "event_serializer": "json",
            "task_default_queue": self._queue,
            "task_acks_late": True,
            "task_reject_on_worker_lost": True,
            "task_soft_time_limit": self._soft_time_limit,
            "task_time_limit": self._hard_time_limit + BACKSTOP,
            "worker_prefetch_multiplier": 1,
            "worker_hijack_root_logger": False,
            "worker_redirect_stdouts": False,
            "worker_cancel_long_running_tasks_on_connection_loss": False,
            "timezone": "UTC",
            "enable_utc": True,
            "beat_schedule_filename": str(self._folder / "beat"),
        }

    def _make_files(self) -> None:
        """Create the files with owner-only permissions, whatever the umask; SQLite's side files inherit their mode."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # beat's schedule is there with any broker
        results = self._folder.absolute() / RESULTS_FILE
        for path, used in (
            (self._folder / BROKER_FILE, self.embedded),
            (results, self._results_url.endswith(str(results))),
        ):
            if used:
                with suppress(FileExistsError):
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    def options_for_publishing(self) -> dict[str, Any]:
        """Return the configuration of a Celery application that only sends; its timeout is `SOCKET_TIMEOUT`."""
        options = self.options()
        if self.redis:
            options["broker_transport_options"] |= {
                "socket_timeout": SOCKET_TIMEOUT,
                "socket_connect_timeout": SOCKET_TIMEOUT,
            }
        elif not self.embedded:
            options["broker_transport_options"] |= {
                "confirm_publish": True,
                "read_timeout": SOCKET_TIMEOUT,
                "write_timeout": SOCKET_TIMEOUT,
            }
        options["result_backend"] = None
        options["task_publish_retry_policy"] = {"max_retries": 1, "interval_start": 0}
        return options

    def _transport_options(self) -> dict[str, Any]:
        if self.embedded:
            return {"connect_args": {"timeout": 30}}
        return {"visibility_timeout": self._visibility_timeout} if self.redis else {}
