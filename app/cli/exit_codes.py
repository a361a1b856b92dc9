"""What a command's exit code says."""

from enum import IntEnum


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTLY_DONE = 3
    """Some rows were rejected."""
    UNHEALTHY = 4
    INTERRUPTED = 130
    """By SIGINT, and rolled back. A server that is told to stop is done."""
    TERMINATED = 143
    """By SIGTERM, likewise."""
