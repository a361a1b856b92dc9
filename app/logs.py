"""Logs: structlog's rendering for every logger of the process, to stderr.

Each line names the request, the acting user and the transaction where there is one. Tracebacks are plain: no local
variables, as those hold values.
"""

import asyncio
import logging
import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Final

import structlog

from settings import LogFormat, Settings
from unitwork import ambient_name
from unitwork.errors import NoActingUser
from unitwork.models import acting_user_id, current_request_id

QUIET: Final = {
    "alembic": "WARNING",
    "unitwork.connections.pool": "WARNING",
    "asyncio": "INFO",
    "aiosqlite": "INFO",
    "asyncpg": "INFO",
}
"""Minimum levels of loggers whose lower ones are internal detail, in part with the values of statements."""


def configure_logs(settings: Settings) -> None:
    """Send the process's logs to stderr in the configured format. For entrypoints; a library leaves logs alone."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _context,
    ]
    last: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if settings.log_format is LogFormat.JSON:
        # An allow-list: records of third-party loggers may carry anything. The last four are a security event's.
        shared.append(structlog.stdlib.ExtraAdder(allow={"sql", "security_event", "address", "account", "by"}))
    if settings.log_format is LogFormat.CONSOLE:
        last = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("DEBUG" if settings.debug else settings.log_level)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger("uvicorn.error").addFilter(_without_cancelled)


def _without_cancelled(record: logging.LogRecord) -> bool:
    """Drop uvicorn's tracebacks of requests that shutdown cancels; one line of our own names each of them."""
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


def _context(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if request_id := current_request_id():
        event["request_id"] = request_id
    with suppress(NoActingUser):
        event["acting_user"] = acting_user_id()
    if transaction := ambient_name():
        event["transaction"] = transaction
    return event
