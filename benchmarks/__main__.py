"""`python -m benchmarks [NAME …]`: run all works, or these, and write what they found into RESULTS.md.

`make bench` makes the peers' environments first. Nothing else should run on the machine meanwhile.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

import uvloop

from benchmarks import results
from benchmarks.database import bench_database
from benchmarks.effort import Effort
from benchmarks.works import WORKS

RESULTS = Path(__file__).parent / "RESULTS.md"
OVER_HTTP = {"http", "processes"}
"""Here this process is the load, which shares the cores with what it measures: it should cost little."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(WORKS)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured; the median counts (3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a round of requests takes (3)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the big row counts, to try things out (1)")
    parser.add_argument("--print", action="store_true", dest="only_print", help="leave RESULTS.md as it is")
    given = parser.parse_args()
    if unknown := set(given.names) - set(WORKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(WORKS)}")
    effort = Effort(given.rounds, given.seconds, given.scale)
    with bench_database() as url:
        for name in given.names or WORKS:
            begun = time.monotonic()
            print(f"{name} …", file=sys.stderr, flush=True)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop if name in OVER_HTTP else None) as runner:
                section = runner.run(WORKS[name](url, effort))
            print(section.markdown(), flush=True)
            print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
            if not given.only_print:
                results.write(RESULTS, section)
    return 0


if __name__ == "__main__":
    sys.exit(main())
