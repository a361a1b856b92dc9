"""Positions, what is told of them, and how old a replica's state is: without a server."""

import math
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitwork import (
    EVERYTHING,
    Causality,
    DatabaseOptions,
    Position,
    PositionTokens,
    Told,
    current_position,
    reading_after,
    reads_from_primary,
    see_everything,
    stale_by_at_most,
)
from unitwork.replicas.causality import staleness_in_force
from unitwork.replicas.position import NOTHING
from unitwork.replicas.position_token import LENGTH, LIFETIME_SECONDS
from unitwork.replicas.primary_log import PrimaryLog
from unitwork.server_identity import ServerIdentity

HERE = ServerIdentity("7300000000000000001", 1)
PROMOTED = HERE._replace(timeline=2)
ELSEWHERE = HERE._replace(system="7300000000000000002")

positions = st.builds(
    Position,
    st.builds(ServerIdentity, st.integers(1, 2**64 - 1).map(str), st.integers(1, 2**32 - 1)),
    st.integers(0, 2**64 - 1),
)
tellings = st.one_of(st.just(EVERYTHING), positions.map(Told))


def tokens() -> PositionTokens:
    return PositionTokens(lambda: "k" * 40)


@given(positions)
def test_a_position_is_read_as_it_is_written(position: Position) -> None:
    assert Position.parse(position.text) == position


@pytest.mark.parametrize("text", ["", "*", "0/1", "7 1 0/1", "7 00000001 0/", "7 00000001 0/1 ", "x 00000001 0/1"])
def test_another_text_is_no_position(text: str) -> None:
    assert Position.parse(text) is None


@given(tellings)
def test_what_is_told_survives_text_and_token(told: Told) -> None:
    assert Told.parse(told.text) == told
    token = tokens().write(told)
    assert len(token) == LENGTH
    assert tokens().read(token) == told


@given(tellings, st.integers(0, LENGTH - 1), st.sampled_from("ABCxyz019-_~ é"))
def test_a_token_that_was_changed_anywhere_tells_nothing(told: Told, at: int, letter: str) -> None:
    token = tokens().write(told)
    changed = token[:at] + letter + token[at + 1 :]
    assert tokens().read(changed) == (told if changed == token else NOTHING)


def test_a_token_of_another_key_or_time_or_length_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(Position(HERE, 5))
    token = tokens().write(told)
    assert PositionTokens(lambda: "another").read(token) == NOTHING
    for text in (None, "", token[:-1], f"{token}A", "A" * 300):
        assert tokens().read(text) == NOTHING
    now = time.time()
    for late, expected in (
        (LIFETIME_SECONDS - 1, told),
        (LIFETIME_SECONDS + 2, NOTHING),
        (-LIFETIME_SECONDS - 2, NOTHING),
    ):
        monkeypatch.setattr(time, "time", lambda late=late: now + late)
        assert tokens().read(token) == expected


def test_positions_of_two_histories_cover_nothing_of_each_other() -> None:
    early, late = Position(HERE, 5), Position(HERE, 6)
    assert late.covers(early)
    assert late.covers(late)
    assert not early.covers(late)
    assert not Position(PROMOTED, 9).covers(early), "what is behind the fork may be missing"
    assert not Position(ELSEWHERE, 9).covers(early)


def test_the_later_of_two_positions_is_kept() -> None:
    line = [Position(HERE, 5), Position(HERE, 6), Position(PROMOTED, 2)]
    for former, later in pairwise(line):
        assert later.follows(former)
        assert not former.follows(later)
        assert Told(former).together(Told(later)) == Told(later).together(Told(former)) == Told(later)
    assert Position(ELSEWHERE, 1).follows(line[-1]), "the former system was replaced"
    assert NOTHING.together(EVERYTHING).everything
    assert not NOTHING


def test_what_was_stored_at_an_unknown_position_is_located_by_a_later_question() -> None:
    causality = Causality()
    causality.committed(Position(HERE, 5))
    causality.committed(Position(HERE, 4))
    assert causality.told == Told(Position(HERE, 5))
    before = time.monotonic()
    causality.committed(None)
    causality.locate(Position(HERE, 9), before)
    assert causality.told == Told(Position(HERE, 5), everything=True), "it was asked before"
    causality.locate(Position(HERE, 9), time.monotonic() + 0.001)
    assert causality.told == Told(Position(HERE, 9))
    assert causality.to_tell


def test_after_a_failover_the_new_primary_has_all_that_is_left() -> None:
    causality = Causality(Told(Position(HERE, 9)))
    causality.follow(Position(HERE, 20))
    assert causality.position == Position(HERE, 9), "of the same history one waits for no more than one must see"
    causality.follow(Position(PROMOTED, 5))
    assert causality.position == Position(PROMOTED, 5)
    causality.follow(Position(HERE, 30))
    assert causality.position == Position(PROMOTED, 5), "a former primary is followed by nobody"
    nothing = Causality()
    nothing.follow(Position(HERE, 5))
    assert nothing.position is None


def test_a_block_is_a_piece_of_work_of_its_own() -> None:
    see_everything()
    assert current_position() is None
    with reading_after(Told(Position(HERE, 5))):
        assert current_position() == Position(HERE, 5).text
        with reading_after():
            assert current_position() is None
            see_everything()
            assert current_position() == EVERYTHING.text
        assert current_position() == Position(HERE, 5).text
    with stale_by_at_most(2), stale_by_at_most(3) as inner:
        assert inner.seconds == 2
        with reads_from_primary():
            assert (staleness_in_force.get() or inner).seconds == 0
    assert staleness_in_force.get() is None


def test_the_age_of_a_replica_is_that_of_the_last_question_it_has_all_of() -> None:
    log = PrimaryLog(keep_seconds=10)
    assert math.isinf(log.age_of(Position(HERE, 5), 0).replay_delay)
    for asked_at, lsn in ((1.0, 10), (2.0, 20), (3.0, 30), (4.0, 30)):
        log.add(Position(HERE, lsn), asked_at)
    assert log.age_of(Position(HERE, 30), 4.5) == (4.0, 0.0)
    assert log.age_of(Position(HERE, 29), 4.5) == (2.0, 1.5)
    assert log.age_of(Position(HERE, 5), 4.5) == (-math.inf, math.inf)
    log.add(Position(HERE, 40), 13.5)
    assert log.age_of(Position(HERE, 30), 13.5) == (4.0, 0.0)
    assert log.age_of(Position(HERE, 20), 13.5) == (-math.inf, math.inf), "older samples are dropped"
    log.add(Position(PROMOTED, 7), 14.0)
    assert log.server == PROMOTED
    assert log.age_of(Position(PROMOTED, 6), 14.0) == (-math.inf, math.inf), "another history begins anew"


def test_options_take_replicas_and_show_no_password() -> None:
    options = DatabaseOptions(
        "postgres://ann:secret@db/shop", replicas=["postgres://one/shop", "postgres://b:s2@two/shop"]
    )
    first, second = options.replica_urls
    assert (first.username, first.password, first.drivername) == ("ann", "secret", "postgresql+asyncpg")
    assert (second.username, second.password) == ("b", "s2")
    assert "secret" not in repr(options)
    assert "s2" not in repr(options)
    assert "one/shop" in repr(options)


@pytest.mark.parametrize(
    ("url", "replicas", "fact"),
    [
        ("sqlite:///a.db", ["postgres://one/shop"], "replicas are read on PostgreSQL alone"),
        ("mysql://db/shop", ["mysql://one/shop"], "replicas are read on PostgreSQL alone"),
        ("postgres://db/shop", ["mysql://one/shop"], "a replica of PostgreSQL is PostgreSQL too"),
        ("postgres://db/shop", ["postgres://one,two/shop"], "a URL of its own"),
        ("postgres://db/shop", ["postgres://one/shop", "postgres://one:5432/shop"], "named twice"),
        ("postgres://db/shop", ["postgres://db:5432/shop"], "as its own replica"),
        ("postgres://db/shop", ["nonsense"], "URL"),
    ],
)
def test_replicas_that_can_be_none_are_refused_by_name(url: str, replicas: list[str], fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        DatabaseOptions(url, replicas=replicas)


@pytest.mark.parametrize(("name", "value"), [("replica_max_lag", 0), ("replica_max_lag", 31), ("replica_wait", -1)])
def test_limits_of_replicas_have_bounds(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        DatabaseOptions("postgres://db/shop", **{name: value})  # type: ignore[arg-type]  # that is the point
