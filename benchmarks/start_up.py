"""Start-up: whole commands from their first instruction to their end; and the resolution of services."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import URL

from benchmarks.effort import Effort
from benchmarks.results import Section
from containers import Container, running
from settings import Settings

RESOLUTIONS: Final = 20_000
COMMANDS: Final = {
    "python -c pass": ["-c", "pass"],
    "python -m app --help": ["-m", "app", "--help"],
    "python -m app users list --help": ["-m", "app", "users", "list", "--help"],
    "python -c 'import containers'": ["-c", "import containers"],
    "python -c 'import app.api'": ["-c", "import app.api"],
}


async def measure(url: URL, effort: Effort) -> Section:
    """Processes of their own, medians; then the container of this one."""
    rounds = effort.rounds * 2 + 1
    rows = []
    for name, arguments in COMMANDS.items():
        found = [_ran([sys.executable, *arguments]) for _ in range(rounds)]
        wall, cpu = median(wall for wall, _ in found), median(cpu for _, cpu in found)
        rows.append([f"`{name}`", f"{wall * 1e3:.0f} ms", f"{cpu * 1e3:.0f} ms"])
    async with running(Container(settings=Settings(database={"url": url.render_as_string(hide_password=False)}))) as it:
        for name in ("user_dao", "user_service", "auth_service", "session_provider"):
            resolve: Callable[[], object] = getattr(it, name)
            seconds = median(_resolved(resolve) for _ in range(rounds))
            rows.append([f"`container.{name}()`", f"{seconds * 1e6:.2f} µs", ""])
    return Section(
        "Start-up and resolution",
        f"Whole processes, medians of {rounds}; resolutions, medians of {rounds} rounds of {RESOLUTIONS:,}.",
        ["what", "wall", "CPU"],
        rows,
    )


def _ran(command: list[str]) -> tuple[float, float]:
    """Seconds by the clock on the wall, and of CPU."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "GATEHOUSE_VAR_DIR": folder}
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own
        wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _resolved(resolve: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(RESOLUTIONS):
        resolve()
    return (time.perf_counter() - begun) / RESOLUTIONS
