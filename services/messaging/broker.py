"""Broker: which one it is, and how Celery has to talk to it. For those who publish and those who work."""

from pathlib import Path
from typing import Any, Final

DELIVER: Final = "gatehouse.deliver"
"""The task that handles a message of the outbox; its argument is the message's id."""
ACTING_USER: Final = "gatehouse_acting_user"
REQUEST_ID: Final = "gatehouse_request_id"
TRACE_PARENT: Final = "traceparent"
"""Headers: for whom a task acts, and which request and trace it belongs to."""

EMBEDDED: Final = "sqlalchemy+sqlite:///"
SOCKET_TIMEOUT: Final = 5.0
"""Seconds that a publisher waits for a broker's answer."""


class Broker:
    """The broker at a URL; without one the embedded one, a file in `folder`. Opens nothing itself."""

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
        self.url = url or f"{EMBEDDED}{folder.absolute() / 'broker.db'}"
        self._results_url = results_url or (
            self.url if self.redis else f"db+sqlite:///{folder.absolute() / 'results.db'}"
        )
        self._folder = folder
        self._queue = queue
        self._soft_time_limit = soft_time_limit
        self._hard_time_limit = hard_time_limit
        self._visibility_timeout = visibility_timeout

    @property
    def embedded(self) -> bool:
        """Whether it is a SQLite file of this machine."""
        return self.url.startswith(EMBEDDED)

    @property
    def redis(self) -> bool:
        """Whether it is Redis, which gives an unacknowledged task away after the visibility timeout."""
        return self.url.startswith(("redis", "valkey"))

    def options(self) -> dict[str, Any]:
        """Celery's configuration. JSON alone is accepted; a task is acknowledged when it has ended, and given back when
        its process was lost.
        """
        if self.embedded:
            self._folder.mkdir(parents=True, exist_ok=True)
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
            "task_time_limit": self._hard_time_limit,
            "worker_prefetch_multiplier": 1,
            "worker_hijack_root_logger": False,
            "worker_redirect_stdouts": False,
            "worker_cancel_long_running_tasks_on_connection_loss": False,
            "timezone": "UTC",
            "enable_utc": True,
            "beat_schedule_filename": str(self._folder / "beat"),
        }

    def options_for_publishing(self) -> dict[str, Any]:
        """Those of a Celery application that only sends, and waits for no broker longer than `SOCKET_TIMEOUT`."""
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
