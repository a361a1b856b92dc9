"""`python -m app.worker`: the Celery worker that `gatehouse worker` starts and watches."""

import sys

from app.with_parent import end_with_parent
from app.worker import celery_app

if __name__ == "__main__":
    end_with_parent()
    celery_app.worker_main(["worker", *sys.argv[1:]])
