"""Units that get in each other's way come through with retry, each exactly once. 10,000 are in `make storm`."""

import pytest

from containers import Container
from tests.faults.contention import count_up, create_counters, lock_crosswise

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


async def test_1000_serialisable_increments_by_32_tasks_make_1000(container: Container) -> None:
    await create_counters(container, 1)
    contended = await count_up(container, 1000)
    print(contended)
    assert contended.failed == []
    assert contended.total == 1000
    assert contended.hooks == 1000


async def test_deadlocked_units_all_succeed(container: Container) -> None:
    await create_counters(container, 2)
    contended = await lock_crosswise(container, 3)
    print(contended)
    assert contended.failed == []
    assert contended.attempts > 6, "somebody was chosen to end"
    assert contended.total == 12
    assert contended.hooks == 6
