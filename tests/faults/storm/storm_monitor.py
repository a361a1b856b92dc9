"""What the monitor holds after a million statements, and that it cries no wolf over ten thousand units."""

import tracemalloc

from containers import Container, running
from settings import Settings
from unitwork.models import SYSTEM, acting_as
from unitwork.monitor.findings.finding import KINDS
from unitwork.monitor.shape import OK, Shapes

STATEMENTS = 1_000_000
TEXTS = 10_000
UNITS = 10_000


def test_a_million_statements_of_ten_thousand_texts_are_held_in_bounded_memory(share: float) -> None:
    count = int(STATEMENTS * share)
    tracemalloc.start()
    try:
        shapes = Shapes()

        def run(first: int, end: int) -> int:
            for number in range(first, end):
                text = f"SELECT c{number % TEXTS} FROM t{number % TEXTS} WHERE id = $1"
                shapes.of(text, "postgresql").ended(float(number), 0.001, 1, OK)
            return tracemalloc.get_traced_memory()[0]

        early, late = run(0, count // 10), run(count // 10, count)
    finally:
        tracemalloc.stop()
    assert sum(kind.ok for kind in shapes.kinds.values()) == count
    print(f"\n{count} statements of {TEXTS} texts: {early / 1e6:.2f} MB after a tenth, {late / 1e6:.2f} MB at the end")
    assert late < early * 1.1
    assert late < 16e6


async def test_ordinary_units_are_no_findings(settings: Settings, share: float) -> None:
    """Reads, lists and writes one after the other, with the thresholds that are the default."""
    count = int(UNITS * share)
    async with running(Container(settings=settings)) as container:
        users, service = container.user_dao(), container.user_service()
        with acting_as(SYSTEM):
            for number in range(count // 4):
                user = await service.create({"email": f"user{number}@example.com"})
                await users.get(user.id)
                await users.query().order_by("-created_at", "-id").limit(20).all()
                async with container.transaction()(name="two reads", read_only=True):
                    await users.get(user.id)
                    await users.count().rows()
        found = {kind: len(container.sql_monitor().findings.latest(kind)) for kind in KINDS}
    print(f"\n{count} units: {sum(found.values())} findings")
    assert {kind: number for kind, number in found.items() if number} == {}
