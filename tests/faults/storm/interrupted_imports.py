"""`gatehouse users import` again and again in one process, each time interrupted by a SIGINT at a random moment.

Run as a program: `DATABASE_URL=… python -m tests.faults.storm.interrupted_imports ROUNDS SEED FOLDER`. Each round is
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

from app.cli import main

ROWS = 1500


def rounds(count: int, seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    usual = 0.0
    for number in range(count + 1):
        file = folder / f"people{number}.csv"
        people = (f"round{number}x{row}@example.com" for row in range(ROWS))
        file.write_text("email\n" + "\n".join(people) + "\n", encoding="utf-8")
        if number == 0:  # undisturbed: how long one takes
            begun = time.perf_counter()
            code, _ = interrupted(file, None)
            usual = time.perf_counter() - begun
        else:
            code, took = interrupted(file, chance.uniform(0.02, 1.05 * usual))
            print(json.dumps({"round": number, "code": code, "took": took}), flush=True)
        file.unlink()


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
        code = 130  # it came before the command had begun, or after it had ended
    ended = time.perf_counter()
    over.set()
    with contextlib.suppress(KeyboardInterrupt):
        if thread.ident is not None:
            thread.join()
    return code, max(ended - sent, 0.0) if sent else 0.0


if __name__ == "__main__":
    rounds(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
