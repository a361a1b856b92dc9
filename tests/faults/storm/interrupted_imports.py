"""`gatehouse users import` again and again in one process, each time interrupted by a SIGINT at a random moment.

Run as a program: `DATABASE_URL=… python -m tests.faults.storm.interrupted_imports COUNT SEED FOLDER`. Each round is
the whole command, from its arguments to its exit code, in an event loop of its own; only the interpreter's start is
shared, which would be most of the time. Prints one JSON object a round: exit code, seconds from the signal to the end.
"""

import contextlib
import io
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from app.cli import main

ROWS = 1500
WARM = 3
INTERRUPTED = 130


def rounds(count: int, seed: int, folder: Path) -> None:
    """Until so many were interrupted, or twice as many rounds are over."""
    chance = random.Random(seed)
    for number in range(WARM):  # undisturbed: how long one takes, once everything has been imported
        _, took = imported(folder, -number, None)
    usual, left = took, count
    for number in range(1, 2 * count + 1):
        code, took = imported(folder, number, chance.uniform(0, usual))
        left -= code == INTERRUPTED
        print(json.dumps({"round": number, "code": code, "took": took}), flush=True)
        if not left:
            break


def imported(folder: Path, number: int, delay: float | None) -> tuple[int, float]:
    """One round: the exit code, and the seconds that it took, from its signal where it got one."""
    file = folder / f"people{number}.csv"
    people = (f"round{number}x{row}@example.com" for row in range(ROWS))
    file.write_text("email\n" + "\n".join(people) + "\n", encoding="utf-8")
    begun = time.perf_counter()
    code, took = interrupted(file, delay)
    file.unlink()
    return code, time.perf_counter() - begun if delay is None else took


def interrupted(file: Path, delay: float | None) -> tuple[int, float]:
    """The exit code, and the seconds from the signal until the command had ended; 0.0 when it ended first."""
    sent = 0.0
    over = threading.Event()

    def send() -> None:
        nonlocal sent
        if not over.wait(delay):
            sent = time.perf_counter()
            os.kill(os.getpid(), signal.SIGINT)

    code = 0
    thread = threading.Thread(target=send)
    try:
        if delay is not None:
            thread.start()
        with contextlib.redirect_stdout(io.StringIO()):
            sys.argv = ["gatehouse", "users", "import", str(file), "--json"]
            code = main()
    except KeyboardInterrupt:
        code = INTERRUPTED  # it came before the command had begun, or after it had ended
    ended = time.perf_counter()
    over.set()
    with contextlib.suppress(KeyboardInterrupt):
        if thread.ident is not None:
            thread.join()
    return code, max(ended - sent, 0.0) if sent else 0.0


def _unraisable(failure: Any) -> None:
    """An interrupt between two commands is nobody's."""
    if failure.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(failure)


if __name__ == "__main__":
    # Between two commands it is nobody's.
    sys.unraisablehook = lambda failure: (
        None if failure.exc_type is KeyboardInterrupt else sys.__unraisablehook__(failure)
    )
    rounds(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
