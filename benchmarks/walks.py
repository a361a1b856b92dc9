"""Walks: how many of the project's files a piece of work enters, and how often it steps from one into another.

Counted by Python's own profiler, on PostgreSQL, warmed up. A file counts once; a step is a call of a function of
another file than the function that was called before it. A coroutine that goes on after a wait isn't called again.

`python -m benchmarks.walks` prints them, with `--files` each file too.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

import httpx2

from app.api import create_app
from benchmarks.database import bench_database
from containers import Container, running
from domain import Role, User
from settings import Settings
from unitwork.models import SYSTEM, acting_as

ROOT: Final = Path(__file__).parents[1]
LIBRARY: Final = ROOT / "packages/unitwork/src"
WARMUP_RUNS: Final = 20
MEASURED_RUNS: Final = 10
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of an account that is gone with its database

Walk = Callable[[], Awaitable[object]]


class Steps(NamedTuple):
    """Steps of one walk: the files in the order they were entered, and the number of steps between files."""

    files: tuple[str, ...]
    switches: int


async def steps_of(walk: Walk) -> Steps:
    """Count the steps of a warm walk: the shortest of several, as others include the monitor's timer or the check of an
    idle connection.
    """
    for _ in range(WARMUP_RUNS):
        await walk()
    return min([await _steps(walk) for _ in range(MEASURED_RUNS)], key=lambda steps: (steps.switches, len(steps.files)))


async def _steps(walk: Walk) -> Steps:
    called: list[str] = []
    seen: list[FrameType] = []  # held, or another frame would get its address

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event != "call" or (file := _ours(frame.f_code.co_filename)) is None:
            return
        if frame.f_code.co_flags & RESUMABLE:
            if any(frame is one for one in seen):
                return
            seen.append(frame)
        called.append(file)

    sys.setprofile(note)
    try:
        await walk()
    finally:
        sys.setprofile(None)
    called = [file for file in called if file != "benchmarks/walks.py"]
    switches = sum(one != other for one, other in pairwise(called))
    return Steps(tuple(dict.fromkeys(called)), switches)


RESUMABLE: Final = 0x20 | 0x80 | 0x200
"""Flags of the code of generators, coroutines and asynchronous generators."""
_known: Final[dict[str, str | None]] = {}


def _ours(name: str) -> str | None:
    """Return the path of a file of the project, relative to its root; None for other files."""
    if name not in _known:
        path = Path(name)
        inside = path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / ".venv")
        root = LIBRARY if path.is_relative_to(LIBRARY) else ROOT
        _known[name] = path.relative_to(root).as_posix() if inside else None
    return _known[name]


async def walks(url: str) -> Mapping[str, Steps]:
    """Count the four walks that a reader takes first."""
    settings = Settings.model_validate({"database": {"url": url}, "node_id": 1})
    found: dict[str, Steps] = {}
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        users, transaction = container.user_dao(), container.transaction()
        with acting_as(SYSTEM):
            admin = await container.user_service().create(
                {"email": "ada@example.com", "display_name": "Ada", "role": Role.ADMIN}, password=PASSWORD
            )
            found["`dao.get` alone"] = await steps_of(lambda: users.get(admin.id))
            numbers = iter(range(1_000))

            async def add() -> None:
                async with transaction():
                    await users.add(User(email=f"n{next(numbers)}@example.com", display_name="N"))

            found["`dao.add` in a transaction"] = await steps_of(add)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(create_app(container)), base_url="http://walks"
        ) as client:
            login: Any = {"login": "ada@example.com", "password": PASSWORD}
            token = (await client.post("/v1/auth/login", json=login)).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            address = f"/v1/users/{admin.id}"
            names = iter(range(1_000))

            async def get() -> None:
                (await client.get(address)).raise_for_status()

            async def patch() -> None:
                body = {"display_name": f"Ada {next(names)}"}
                (await client.patch(address, json=body, headers={"If-Match": "*"})).raise_for_status()

            found["GET /v1/users/{id}"] = await steps_of(get)
            found["PATCH /v1/users/{id}"] = await steps_of(patch)
        await container.schema().downgrade("base")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.walks", description=__doc__)
    parser.add_argument("--files", action="store_true", help="name each file")
    given = parser.parse_args()
    with bench_database() as url:
        found = asyncio.run(walks(url.render_as_string(hide_password=False)))
    for name, steps in found.items():
        print(f"{name}: {len(steps.files)} files, {steps.switches} switches")
        if given.files:
            print(*(f"    {file}" for file in steps.files), sep="\n")


if __name__ == "__main__":
    main()
