"""Literals: no value is in a text that the monitor keeps, however it is written, on the database that reads it."""

import random
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy.exc import DBAPIError

from containers import Container
from unitwork.errors import DatabaseError
from unitwork.monitor.fingerprint import masked
from unitwork.testing.servers import mariadb_server

ROUNDS = 400

Maker = Callable[[random.Random, str], str]
"""Writes a secret as a literal."""


def doubled(quote: str, secret: str) -> str:
    return secret.replace(quote, quote * 2)


def dollars(chance: random.Random, secret: str) -> str:
    tag = chance.choice(["", "a", "_", "q1", "é", "€", "TAG2_x", "\N{NO-BREAK SPACE}"])
    return f"${tag}${secret} it's ' \" -- /* {'$$' if tag else ''}${tag}$"


def escaping(chance: random.Random, secret: str) -> str:
    prefix = chance.choice("eE")
    more = chance.choice(["", "\n'more \\' it'", " \t-- that's it\n'more \\\\'", "\r  '\\''"])
    return f"{prefix}'{secret} \\' \\\\'{more}"


POSTGRESQL: Sequence[Maker] = (
    lambda _, secret: f"'{secret}'",
    lambda _, secret: f"'it''s {secret} /* -- $$'",
    dollars,
    escaping,
    lambda _, secret: f"U&'{secret} \\0441'",
    lambda _, secret: f"date'infinity'::text || '{secret}'",
    lambda _, secret: f"text'{secret}'",
    lambda _, secret: f"name '{secret}'",
)
SQLITE: Sequence[Maker] = (
    lambda _, secret: f"'{secret}'",
    lambda _, secret: f"'it''s {secret} /* -- \\'",
    lambda _, secret: f"'{secret}' AS [it's one]",
    lambda _, secret: f"'{secret}' AS `it's one`",
    lambda _, secret: f"'a' || x'' || '{secret}\\'",
)
MARIADB: Sequence[Maker] = (
    lambda _, secret: f"'{secret}'",
    lambda _, secret: f"'it''s {secret} /* -- #'",
    lambda _, secret: f'"it\'s {secret} \\" x"',
    lambda _, secret: f"'it\\'s {secret}'",
    lambda _, secret: f"_utf8mb4'{secret}'",
    lambda _, secret: f"N'{secret}'",
    lambda _, secret: f"5--'1' AS a, '{secret}'",
    lambda _, secret: f"'{secret}' AS `it's one`",
    lambda _, secret: f"'{secret}' /*! , 'it''s' */",
)
MAKERS = {"postgresql": POSTGRESQL, "sqlite": SQLITE, "mariadb": MARIADB}
COMMENTS = {
    "postgresql": ("/* it's */", "/* /* it's */ ' */", "-- it's\n", "-- it's\r", "/* -- */", "/**/"),
    "sqlite": ("/* it's /* */", "-- it's\n", "/* -- */", "/**/", "-- it's \r'\n"),
    "mariadb": ("/* it's /* */", "-- it's\n", "# it's\n", "/* -- */", "/**/", "--\n"),
}
NUMBERS = {
    "postgresql": ("{n}", "{n}.5", "{n}e1", ".{n}", "-{n}", "({n})"),
    "sqlite": ("{n}", "{n}.5", "{n}e1", ".{n}", "-{n}", "0x{n}"),
    "mariadb": ("{n}", "{n}.5", "{n}e1", ".{n}", "-{n}", "0x{n}", "0b1010"),
}


@pytest.mark.parametrize(
    "backend", ["sqlite", "postgresql", *(["mariadb"] if mariadb_server.named() else [])], indirect=True
)
async def test_no_value_is_kept_of_what_the_database_has_read(container: Container, backend: str) -> None:
    """Statements of literals in every spelling, with comments between: as the database takes those that it takes."""
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    taken = 0
    for _ in range(ROUNDS):
        secrets = [f"zq{chance.randrange(10**9):09d}" for _ in range(chance.randrange(1, 5))]
        number = str(chance.randrange(10**6, 10**7))
        items = [chance.choice(MAKERS[backend])(chance, secret) for secret in secrets]
        items.insert(chance.randrange(len(items) + 1), chance.choice(NUMBERS[backend]).format(n=number))
        gap = (" ", "\n", *COMMENTS[backend])
        statement = f"SELECT{chance.choice(gap)} " + ",".join(f"{chance.choice(gap)}{item} " for item in items)
        try:
            async with container.engine().connect() as connection:
                (row,) = (await connection.exec_driver_sql(statement.replace("%", "%%"))).all()
        except (DatabaseError, DBAPIError):
            continue
        taken += 1
        assert all(any(secret in str(value) for value in row) for secret in secrets), statement
        text = masked(statement, backend)
        leaked = [value for value in (*secrets, number) if value in text]
        assert not leaked, (statement, text)
    assert taken > ROUNDS * 0.8


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [
        ("postgresql", "SELECT $q1$ secret1 $q1$, $é$ secret2 $é$, $€$ secret3 $€$"),
        ("postgresql", "SELECT /* /* */ it's */ 'secret1'"),
        ("postgresql", "SELECT 1_234_567, 0b1010, 0o1234567, 0x1234_567, 1_234_567.5e1_0, .1234567"),
        ("postgresql", "SELECT date'\\', 'secret1'"),
        ("postgresql", "SELECT E'a'\n'\\' secret1'"),
        ("postgresql", "SELECT 'a\\', secret1'"),
        ("postgresql", "SELECT a$$b, $$ secret1 $$"),
        ("mariadb", "SELECT 5--'abc\n', 'secret1'"),
        ("mariadb", "/*!999999 it's */ SELECT 'secret1'"),
        ("mariadb", "/*M! SELECT '*/ secret1' */"),
        ("mariadb", "SELECT 'a\\', 'secret1'"),
        ("mariadb", "SELECT 0b101, 0x1234567, 1234567abc"),
        ("sqlite", "SELECT 1 AS [it's], 'secret1'"),
        ("sqlite", "SELECT 1_234_567, $1234567, @secret1"),
        ("oracle", "SELECT q'[it's]', 'secret1', Q'!it's!', nq'<it's secret2>' FROM dual"),
        ("another", "SELECT 'secret1'"),
    ],
)
def test_what_is_a_value_on_some_server_is_masked(dialect: str, statement: str) -> None:
    text = masked(statement, dialect)
    assert "secret" not in text
    assert "234" not in text
    assert "101" not in text


@pytest.mark.parametrize(
    ("dialect", "whole"),
    [
        ("postgresql", "SELECT E'zq\\'zq', $t$ zq $t$, 'zq''zq', /* zq /* zq */ zq */ 123, -- zq\n 'zq\\' zq'"),
        ("sqlite", "SELECT 'zq''zq', \"zq\", x'zq', /* zq */ 123, -- zq\n 'zq\\' , [a], 'zq'"),
        ("mariadb", "SELECT 'zq\\'zq', \"zq\\\"zq\", /* zq */ 123 -- zq\n, 'zq' # zq\n, /*! 'zq' */ 'zq\\' zq'"),
        ("oracle", "SELECT 'zq''zq', q'[zq'zq]', nq'<zq>', /* zq */ 123 -- zq\n, q'!zq'!' FROM dual"),
    ],
)
def test_a_text_cut_anywhere_shows_no_value(dialect: str, whole: str) -> None:
    for length in range(len(whole) + 1):
        text = masked(whole[:length], dialect)
        assert "z" not in text, whole[:length]
        assert "1" not in text, whole[:length]
