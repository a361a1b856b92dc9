"""`python -m app.worker worker` and `… beat`: the Celery worker, and the sender of periodic tasks.

`gatehouse worker` starts and watches them. Each is a process of its own, so that the end of either is seen.
"""

import sys

from app.with_parent import end_with_parent
from app.worker import celery_app

if __name__ == "__main__":
    end_with_parent()
    celery_app.start(sys.argv[1:])
