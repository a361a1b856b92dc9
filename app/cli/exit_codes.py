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
