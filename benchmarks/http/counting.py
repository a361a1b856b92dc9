"""Counting: what two processes of Python's have over one on this machine, where nothing else wants its cores."""

import subprocess
import sys
from typing import Final

PROGRAM: Final = """
import sys, time
rows = {number: str(number) for number in range(20_000)}
until, turns = time.perf_counter() + float(sys.argv[1]), 0
while time.perf_counter() < until:
    for number in range(0, 20_000, 7):
        rows[number] = rows[19_999 - number].upper()
    turns += 1
print(turns)
"""
"""Objects are made and memory is walked through, as in a server, and no socket is touched."""


def turns_per_second(processes: int, seconds: float) -> float:
    """Of so many processes at the same time, in all."""
    command = [sys.executable, "-c", PROGRAM, str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]  # noqa: S603 - PROGRAM
    return sum(int(process.communicate()[0]) for process in running) / seconds
