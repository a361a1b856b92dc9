"""What texts do beyond their own transaction: found in any spelling, refused or undone."""

import pytest

from unitwork.backends.statement_effects import Effect, belongs_to_block, effect_of

TRANSACTION = [
    ("COMMIT", "commit"),
    ("commit work", "commit"),
    ("END", "commit"),
    ("  ;; COMMIT AND CHAIN", "commit"),
    ("(COMMIT)", "commit"),
    ("PREPARE TRANSACTION 'x'", "commit"),
    ("COMMIT PREPARED 'x'", "commit"),
    ("ROLLBACK", "rollback"),
    ("rollback to savepoint x", "rollback"),
    ("ABORT", "rollback"),
    ("BEGIN", "begin"),
    ("BEGIN IMMEDIATE", "begin"),
    ("START TRANSACTION READ ONLY", "begin"),
    ("start\n transaction", "begin"),
    ("XA START 'x'", "begin"),
    ("SET autocommit = 0", "begin"),
    ("SET SESSION autocommit=1", "begin"),
    ("set @@autocommit = 0", "begin"),
    ("SAVEPOINT x", "savepoint"),
    ("RELEASE x", "savepoint"),
    ("-- a comment\nCOMMIT", "commit"),
    ("# MariaDB's\nCOMMIT", "commit"),
    ("/* a /* nested */ one */ COMMIT", "commit"),
    ("/* unfinished ** */ /* two */ ROLLBACK", "rollback"),
    ("/*!50000 COMMIT */", "commit"),
]


@pytest.mark.parametrize(("statement", "method"), TRANSACTION)
@pytest.mark.parametrize("dialect", ["postgresql", "mariadb", "sqlite"])
def test_what_begins_or_ends_a_transaction_is_found_in_any_spelling(statement: str, method: str, dialect: str) -> None:
    assert effect_of(statement, dialect) is Effect.TRANSACTION
    assert belongs_to_block(statement) == method


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "SELECT 'COMMIT'",
        "-- COMMIT\nSELECT 1",
        "/* COMMIT */ SELECT 1",
        "WITH ended AS (SELECT 1) SELECT * FROM ended",
        "INSERT INTO notes VALUES ('SET ROLE nobody')",
        "UPDATE users SET role = 'admin'",
        "DELETE FROM endings",
        "CREATE TABLE temporary_notes (id int)",
        "ALTER TABLE users ADD COLUMN x int",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "EXPLAIN SELECT 1",
        "VALUES (1)",
    ],
)
@pytest.mark.parametrize("dialect", ["postgresql", "mariadb", "sqlite", "oracle"])
def test_what_does_no_more_than_it_says_is_left_alone(statement: str, dialect: str) -> None:
    assert effect_of(statement, dialect) is Effect.NONE


@pytest.mark.parametrize(
    ("dialect", "statement", "effect"),
    [
        *(
            ("postgresql", statement, Effect.RESETTABLE)
            for statement in (
                "SET ROLE nobody",
                "set search_path to elsewhere",
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                "SET SESSION AUTHORIZATION nobody",
                "SET TIME ZONE 'CET'",
                "RESET ALL",
                "LISTEN news",
                "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
                "CREATE TEMP TABLE t (id int)",
                "create temporary view v as select 1",
                "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
                "SELECT 1 AS a INTO TEMP t",
                "SELECT pg_advisory_lock(1)",
                "SELECT pg_try_advisory_lock_shared($1)",
                "SELECT set_config('search_path', 'elsewhere', false)",
                "SELECT set_config($1, $2, $3)",
                "WITH x AS (SELECT set_config('role', 'nobody', false)) SELECT * FROM x",
                "DO $$ BEGIN PERFORM 1; END $$",
                "CALL refresh()",
            )
        ),
        *(
            ("postgresql", statement, Effect.LASTING)
            for statement in ("LOAD 'auto_explain'", "PREPARE p AS SELECT 1", "DISCARD ALL")
        ),
        *(
            ("postgresql", statement, Effect.NONE)
            for statement in (
                "SET LOCAL ROLE nobody",
                "SET CONSTRAINTS ALL DEFERRED",
                "SELECT pg_advisory_xact_lock(1)",
                "SELECT set_config('role', 'nobody', true)",
            )
        ),
        *(
            ("mariadb", statement, Effect.LASTING)
            for statement in (
                "SET SESSION sql_mode = ''",
                "SET LOCAL sql_mode = ''",
                "SET @a = 1",
                "SET ROLE nobody",
                "SET NAMES latin1",
                "SELECT GET_LOCK('a', 1)",
                "SELECT @a := 1",
                "SELECT 1 INTO @a",
                "CREATE TEMPORARY TABLE t (id int)",
                "LOCK TABLES t WRITE",
                "USE elsewhere",
            )
        ),
        *(
            ("mariadb", statement, Effect.NONE)
            for statement in ("SET GLOBAL x = 1", "SET STATEMENT max_statement_time=1 FOR SELECT 1")
        ),
        *(
            ("sqlite", statement, Effect.LASTING)
            for statement in (
                "PRAGMA foreign_keys = OFF",
                "PRAGMA main.synchronous=off",
                "PRAGMA cache_size(10)",
                "ATTACH DATABASE 'x' AS y",
                "CREATE TEMP TABLE t (id int)",
                "CREATE TABLE temp.t (id int)",
            )
        ),
        *(
            ("sqlite", statement, Effect.NONE)
            for statement in ("PRAGMA table_info(users)", "PRAGMA foreign_keys", "PRAGMA quick_check(1)")
        ),
    ],
)
def test_what_is_set_for_a_session_is_found(dialect: str, statement: str, effect: Effect) -> None:
    assert effect_of(statement, dialect) is effect
