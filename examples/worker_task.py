"""A task of one's own: an `async def` over the running container, in a worker that is a process of its own.

A module like this is what `celery -A` is given: `celery -A worker_task worker`.
"""

import os
import subprocess
import sys
from pathlib import Path

from app.worker import celery_app, task
from containers import Container


@task("example.count_accounts")
async def count_accounts(container: Container) -> int:
    """The container is the worker process's own; it isn't sent."""
    return await container.user_dao().count().rows()


def main() -> None:
    command = [sys.executable, "-m", "celery", "-A", Path(__file__).stem, "worker", "--pool=solo", "--loglevel=ERROR"]
    places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    worker = subprocess.Popen(  # noqa: S603 - our own command
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        result = celery_app.send_task("example.count_accounts")
        print(f"{result.get(timeout=60)} accounts")
    finally:
        worker.terminate()
        worker.wait(30)


if __name__ == "__main__":
    main()
