"""Snowflake: unique and rising, whatever the clock does."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitwork.errors import ClockWentBack
from unitwork.ids.snowflake import EPOCH_MS, PATIENCE_MS, Snowflake


class Clock:
    """Milliseconds that stand still unless slept or moved."""

    def __init__(self, now: int = EPOCH_MS + 1_000_000) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += max(1, round(seconds * 1000))


def snowflake(clock: Clock, node_id: int = 0) -> Snowflake:
    return Snowflake(node_id, clock=clock, sleep=clock.sleep)


def parts(id_: int) -> tuple[int, int, int]:
    """Milliseconds since 1970, node, sequence."""
    return (id_ >> 22) + EPOCH_MS, id_ >> 10 & 0xFFF, id_ & 0x3FF


def test_an_id_is_made_of_time_node_and_sequence() -> None:
    clock = Clock(EPOCH_MS + 12_345)
    ids = snowflake(clock, 4095)
    assert parts(ids.next_id()) == (EPOCH_MS + 12_345, 4095, 0)
    assert parts(ids.next_id()) == (EPOCH_MS + 12_345, 4095, 1)
    clock.now += 1
    assert parts(ids.next_id()) == (EPOCH_MS + 12_346, 4095, 0)


def test_an_id_fits_64_bits_for_69_years() -> None:
    assert snowflake(Clock(EPOCH_MS + (1 << 41) - 1), 4095).next_id() < 1 << 63


@pytest.mark.parametrize("node_id", [-1, 4096, 1 << 48])
def test_a_node_outside_twelve_bits_is_refused(node_id: int) -> None:
    with pytest.raises(ValueError, match="`node_id`"):
        Snowflake(node_id)


@given(st.lists(st.integers(min_value=-PATIENCE_MS, max_value=5_000), max_size=300), st.integers(0, 4095))
def test_ids_rise_while_the_clock_jumps_within_patience(moves: list[int], node_id: int) -> None:
    clock = Clock()
    ids, highest, last = snowflake(clock, node_id), clock.now, -1
    for move in moves:
        clock.now = max(clock.now + move, highest - PATIENCE_MS)
        id_ = ids.next_id()
        assert id_ > last
        assert parts(id_)[1] == node_id
        last, highest = id_, max(highest, clock.now)


def test_a_clock_that_went_back_a_little_is_not_waited_for() -> None:
    clock = Clock()
    ids = snowflake(clock)
    first = ids.next_id()
    clock.now -= PATIENCE_MS
    second = ids.next_id()
    assert second == first + 1
    assert clock.slept == []


def test_a_clock_that_went_back_far_is_an_error_and_heals() -> None:
    clock = Clock()
    ids = snowflake(clock)
    first = ids.next_id()
    clock.now -= PATIENCE_MS + 1
    with pytest.raises(ClockWentBack, match=r"1\.001 s") as raised:
        ids.next_id()
    assert raised.value.behind == pytest.approx((PATIENCE_MS + 1) / 1000)
    clock.now += 1
    assert ids.next_id() > first


def test_an_exhausted_sequence_waits_for_the_next_millisecond() -> None:
    clock = Clock()
    ids = snowflake(clock)
    made = [ids.next_id() for _ in range(1025)]
    assert made == sorted(set(made))
    assert len(clock.slept) == 1
    assert parts(made[-2])[2] == 1023
    assert parts(made[-1]) == (parts(made[0])[0] + 1, 0, 0)


def test_an_exhausted_sequence_while_the_clock_is_behind_waits_until_it_caught_up() -> None:
    clock = Clock()
    ids = snowflake(clock)
    made = [ids.next_id()]
    clock.now -= 500
    made += [ids.next_id() for _ in range(1024)]
    assert made == sorted(set(made))
    assert sum(clock.slept) == pytest.approx(0.501)


def test_a_clock_before_the_epoch_is_an_error() -> None:
    with pytest.raises(ClockWentBack):
        snowflake(Clock(0)).next_id()


def test_nodes_never_make_the_same_id() -> None:
    clock = Clock()
    first, second = snowflake(clock, 1), snowflake(clock, 2)
    assert not {first.next_id() for _ in range(500)} & {second.next_id() for _ in range(500)}


def test_threads_never_get_the_same_id() -> None:
    ids, barrier = Snowflake(1), threading.Barrier(8)

    def take(_number: int) -> list[int]:
        barrier.wait()
        return [ids.next_id() for _ in range(2_000)]

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(8)))
    assert len({id_ for made in taken for id_ in made}) == 16_000
    assert all(made == sorted(made) for made in taken)
