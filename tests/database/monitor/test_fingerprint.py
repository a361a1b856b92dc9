"""Fingerprints hold no value, whatever a statement looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitwork.monitor.fingerprint import MAX_LENGTH, fingerprint, masked

CANARY = "c4n4ry"


@pytest.mark.parametrize(
    ("dialect", "statement", "text"),
    [
        ("postgresql", "SELECT a FROM t WHERE b = 'it''s' AND c = 12", "SELECT a FROM t WHERE b = ? AND c = ?"),
        ("postgresql", "SELECT a\n  FROM t1 WHERE b = $1::VARCHAR", "SELECT a FROM t1 WHERE b = ?"),
        ("postgresql", "SELECT E'a\\'b', U&'x', $tag$ ' $tag$, $$y$$", "SELECT ?, ?, ?, ?"),
        (
            "postgresql",
            'SELECT "Order"."n 1" FROM "Order" -- who\n WHERE x = 1e5',
            'SELECT "Order"."n 1" FROM "Order" WHERE x = ?',
        ),
        ("postgresql", "SELECT a FROM t WHERE b IN ($1::INTEGER, $2::INTEGER)", "SELECT a FROM t WHERE b IN (?, …)"),
        ("postgresql", "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4)", "INSERT INTO t (a, b) VALUES (?, …), …"),
        ("postgresql", "SELECT a FROM t WHERE at > $1::TIMESTAMP WITH TIME ZONE", "SELECT a FROM t WHERE at > ?"),
        ("postgresql", "SELECT 'a\\', 'c4n4ry'", "SELECT ? …"),
        ("postgresql", "SELECT 'never closed", "SELECT ?"),
        ("postgresql", "/* c4n4ry */ SELECT 1", "SELECT ?"),
        ("sqlite", 'SELECT "a" FROM "t" WHERE "t"."b" = "c4n4ry"', 'SELECT ? FROM "t" WHERE "t"."b" = ?'),
        ("sqlite", "SELECT x'ff', ?1, :name, 0x1F, .5", "SELECT ?, ?, ?, ?, ?"),
        (
            "mysql",
            "SELECT `a` FROM `t` WHERE b = \"c4n4ry\" AND c = 'x\\'y' # c4n4ry",
            "SELECT `a` FROM `t` WHERE b = ? AND c = ? …",
        ),
        ("mysql", "SELECT a FROM t WHERE b = %s AND c = %(x)s", "SELECT a FROM t WHERE b = ? AND c = ?"),
    ],
)
def test_literals_and_binds_become_masks(dialect: str, statement: str, text: str) -> None:
    assert masked(statement, dialect) == text


@given(
    value=st.text(max_size=40).map(lambda text: f"{CANARY}{text}{CANARY}"),
    dialect=st.sampled_from(["postgresql", "sqlite"]),
    before=st.sampled_from(["SELECT a FROM t WHERE b = ", "UPDATE t SET c = 'x', b = ", "INSERT INTO t VALUES ("]),
)
def test_a_quoted_value_is_never_in_the_text(value: str, dialect: str, before: str) -> None:
    quoted = "'" + value.replace("'", "''") + "'"
    assert CANARY not in masked(f"{before}{quoted} OR d = 'e'", dialect)


def test_values_alone_make_no_other_fingerprint() -> None:
    one = fingerprint("SELECT a FROM t WHERE b = 'x' AND c IN (1, 2)", "postgresql")
    other = fingerprint("SELECT a FROM t WHERE b = 'why'  AND c IN (1, 2, 3)", "postgresql")
    assert one == other
    assert one != fingerprint("SELECT a FROM t WHERE b = 'x'", "postgresql")


@pytest.mark.parametrize("keys", ["= ANY ($1::BIGINT[])", "<> ALL ($1::BIGINT[])", "IN ($1, $2)"])
def test_a_list_of_keys_is_no_read_of_one_thing(keys: str) -> None:
    assert not fingerprint(f"SELECT a FROM t WHERE id {keys}", "postgresql").reads_one
    assert fingerprint("SELECT a FROM t WHERE id = $1::BIGINT", "postgresql").reads_one


def test_a_very_long_text_is_cut() -> None:
    rows = ", ".join(f"(${number}, 'c4n4ry')" for number in range(10_000))
    found = fingerprint(f"INSERT INTO t (a, b) VALUES {rows}", "postgresql")
    assert found.text.startswith("INSERT INTO t (a, b) VALUES (?, …), …")
    assert len(found.text) < MAX_LENGTH
    assert CANARY not in found.text


@pytest.mark.parametrize(
    ("statement", "verb", "table", "reads_one"),
    [
        ("SELECT a FROM users WHERE b = 1", "SELECT", "users", True),
        ("SELECT a FROM users WHERE b IN (1, 2)", "SELECT", "users", False),
        ("SELECT a FROM users WHERE b IN (1)", "SELECT", "users", True),
        ("WITH x AS (SELECT a FROM users) SELECT a FROM x", "WITH", "users", True),
        ("INSERT INTO users (a) VALUES (1)", "INSERT", "users", False),
        ("UPDATE users SET a = 1", "UPDATE", "users", False),
        ("SELECT 1", "SELECT", "", True),
        ("", "", "", False),
    ],
)
def test_what_kind_of_statement_it_is(statement: str, verb: str, table: str, reads_one: bool) -> None:
    found = fingerprint(statement, "postgresql")
    assert (found.verb, found.table, found.reads_one) == (verb, table, reads_one)
