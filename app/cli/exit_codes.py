"""Exit codes of the commands."""

from enum import IntEnum


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTLY_DONE = 3
    """Some rows were rejected."""
    UNHEALTHY = 4
    INTERRUPTED = 130
    """Interrupted by SIGINT, and rolled back. Servers and workers exit with `DONE` instead."""
    TERMINATED = 143
    """Ended by SIGTERM, and rolled back. Servers and workers exit with `DONE` instead."""
