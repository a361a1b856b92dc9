"""`python -m app.worker`: the Celery worker that `gatehouse worker` starts and watches."""

import ctypes
import signal
import sys
from contextlib import suppress

from app.worker import celery_app

PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Where the system can (Linux): a worker whose watcher was killed is told to stop."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    _end_with_parent()
    celery_app.worker_main(["worker", *sys.argv[1:]])
