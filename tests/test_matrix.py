"""The matrix that a run prints at its end."""

from tests.matrix import matrix


def test_it_counts_by_room_and_by_what_a_test_ran_on() -> None:
    passed = [
        "tests/database/test_doom.py::test_a[sqlite]",
        "tests/database/test_doom.py::test_a[postgresql]",
        "tests/database/test_doom.py::test_b[isolated-postgresql]",
        "tests/app/worker/test_tasks.py::test_c[redis-postgresql]",
        "tests/domain/test_user.py::test_d",
    ]
    assert [line.split() for line in matrix(passed)] == [
        ["passed", "on", "sqlite", "postgresql", "redis"],
        ["tests/app/worker", "1", "1"],
        ["tests/database", "1", "2"],
    ]


def test_a_run_on_nothing_prints_nothing() -> None:
    assert list(matrix(["tests/domain/test_user.py::test_d"])) == []
