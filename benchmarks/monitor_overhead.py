"""What the monitor costs: a lone read of one row by its primary key, with `DATABASE__MONITOR` on and off, in turn."""

from collections.abc import Awaitable, Callable

from sqlalchemy import URL

from benchmarks.effort import Effort
from benchmarks.in_turn import SLICES, in_turn, ratio, row
from benchmarks.results import Section
from containers import Container, running
from settings import Settings
from unitwork.models import SYSTEM, acting_as

ON, OFF = "monitor on", "monitor off"


async def measure(url: URL, effort: Effort) -> Section:
    """Two containers of one process, on one database and one row."""

    def container(*, monitor: bool) -> Container:
        address = url.render_as_string(hide_password=False)
        return Container(settings=Settings.model_validate({"database": {"url": address, "monitor": monitor}}))

    async with running(container(monitor=True)) as watched, running(container(monitor=False)) as unwatched:
        await watched.schema().upgrade()
        with acting_as(SYSTEM):
            user = await watched.user_service().create({"email": "read@example.com"})

        def reads(of: Container) -> Callable[[], Awaitable[None]]:
            get = of.user_dao().get

            async def read() -> None:
                await get(user.id)

            return read

        costs = await in_turn({OFF: reads(unwatched), ON: reads(watched)}, effort)
        seen = watched.sql_monitor().shapes.kinds["SELECT users"].ok
        await watched.schema().downgrade("base")
    on, off = costs[ON], costs[OFF]
    wall, cpu = (f"{share - 1:+.1%}" for share in (ratio(on.wall, off.wall), ratio(on.cpu, off.cpu)))
    return Section(
        "Overhead of the monitor",
        "A lone read of one row by its primary key, asyncpg, one at a time in one process, in turn; medians of "
        f"{effort.rounds * SLICES} slices.",
        ["read", "wall ms", "×", "CPU ms", "×"],
        [row(name, costs[name], costs[OFF]) for name in (OFF, ON)],
        [
            "× is the median of the ratios of slices that ran next to each other.",
            f"The monitor saw {seen} reads, and cost {wall} by the clock on the wall and {cpu} of CPU.",
        ],
    )
