"""What texts do beyond their own transaction: found in any spelling, refused or undone."""

import pytest

from unitwork.backends.statement_effects import Effect, belongs_to_block, effect_of

TRANSACTION = [
    ("COMMIT", "commit"),
    ("commit work", "commit"),
    ("END", "commit"),
    ("END TRANSACTION", "commit"),
    ("  ;; COMMIT AND CHAIN", "commit"),
    ("(COMMIT)", "commit"),
    ("PREPARE TRANSACTION 'x'", "commit"),
    ("PREPARE/**/TRANSACTION 'x'", "commit"),
    ("COMMIT PREPARED 'x'", "commit"),
    ("ROLLBACK", "rollback"),
    ("rollback to savepoint x", "rollback"),
    ("ROLLBACK/**/TO x", "rollback"),
    ("ABORT", "rollback"),
    ("BEGIN", "begin"),
    ("BEGIN IMMEDIATE", "begin"),
    ("BEGIN ISOLATION LEVEL SERIALIZABLE", "begin"),
    ("START TRANSACTION READ ONLY", "begin"),
    ("start\n transaction", "begin"),
    ("START/**/TRANSACTION", "begin"),
    ("start-- \n transaction", "begin"),
    ("XA START 'x'", "begin"),
    ("SAVEPOINT x", "savepoint"),
    ("RELEASE x", "savepoint"),
    ("RELEASE/* */SAVEPOINT x", "savepoint"),
    ("-- a comment\nCOMMIT", "commit"),
    ("/* unfinished ** */ /* two */ ROLLBACK", "rollback"),
    ("/* one *//* two */;(;/**/COMMIT/**/", "commit"),
    ("\v\f\r\n\tCOMMIT", "commit"),
]


@pytest.mark.parametrize(("statement", "method"), TRANSACTION)
@pytest.mark.parametrize("dialect", ["postgresql", "mariadb", "sqlite"])
def test_what_begins_or_ends_a_transaction_is_found_in_any_spelling(statement: str, method: str, dialect: str) -> None:
    assert effect_of(statement, dialect) is Effect.TRANSACTION
    assert belongs_to_block(statement, dialect) == method


OF_MARIADB = [
    ("# MariaDB's\nCOMMIT", "commit"),
    ("/* one /* and only */ COMMIT -- */", "commit"),
    ("/*!50000 COMMIT */", "commit"),
    ("/*!COMMIT*/", "commit"),
    ("/*M! COMMIT */", "commit"),
    ("/*M!100100 COMMIT */ SELECT 1", "commit"),
    ("START /*!TRANSACTION*/", "begin"),
    ("IF 1 THEN COMMIT; END IF", "commit"),
    ("if exists (select 1) then rollback; end if", "rollback"),
    ("BEGIN NOT ATOMIC INSERT INTO t VALUES (1); COMMIT; END", "commit"),
    ("a: BEGIN NOT ATOMIC COMMIT; END", "commit"),
    ("CASE 1 WHEN 1 THEN COMMIT; END CASE", "commit"),
    ("again: LOOP COMMIT; LEAVE again; END LOOP", "commit"),
    ("WHILE 0 DO START TRANSACTION; END WHILE", "begin"),
    ("REPEAT SAVEPOINT x; UNTIL 1 END REPEAT", "savepoint"),
    ("FOR i IN 1..1 DO COMMIT; END FOR", "commit"),
    ("IF 1 THEN SET autocommit = 0; END IF", "begin"),
    ("IF 1 THEN EXECUTE IMMEDIATE 'COMMIT'; END IF", "commit"),
    ("EXECUTE IMMEDIATE 'COMMIT'", "commit"),
    ('execute immediate "rollback"', "rollback"),
    ("EXECUTE IMMEDIATE '/*! COMMIT */'", "commit"),
    ("EXECUTE IMMEDIATE 'EXECUTE IMMEDIATE ''COMMIT'''", "commit"),
    ("PREPARE s FROM 'COMMIT'", "commit"),
    ("PREPARE `s` FROM 'START TRANSACTION'", "begin"),
    ("SET STATEMENT max_statement_time=1 FOR COMMIT", "commit"),
    ("SET STATEMENT sql_mode='FOR', max_statement_time=1 FOR EXECUTE IMMEDIATE 'COMMIT'", "commit"),
    ("SET autocommit = 0", "begin"),
    ("SET SESSION autocommit=1", "begin"),
    ("set @@autocommit = 0", "begin"),
    ("SET @x=1, autocommit=0", "begin"),
    ("SET @x = 'a, b', SESSION autocommit = 0", "begin"),
    ("SET @x = 1, @@session.autocommit := 0", "begin"),
    ("SET `autocommit` = 0", "begin"),
    ("SET /*!autocommit*/ = 0", "begin"),
    ("SET @@`session` . `autocommit` = 0", "begin"),
]


@pytest.mark.parametrize(("statement", "method"), OF_MARIADB)
def test_what_mariadb_alone_takes_for_a_transactions_end_is_found(statement: str, method: str) -> None:
    assert effect_of(statement, "mariadb") is Effect.TRANSACTION
    assert belongs_to_block(statement, "mariadb") == method


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [("postgresql", "/* a /* nested */ one */ COMMIT"), ("sqlite", "/* one /* and only */ COMMIT -- */")],
)
def test_comments_end_where_the_database_ends_them(dialect: str, statement: str) -> None:
    assert effect_of(statement, dialect) is Effect.TRANSACTION


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
        "EXPLAIN SELECT 1",
        "EXPLAIN COMMIT",
        "VALUES (1)",
        "SELECT 1 AS commit",
        'SELECT "commit" FROM "set"',
        "SELECT '/*' AS a, 'x' -- */ COMMIT",
        "SELECT 1 /* ; COMMIT */",
        "-- START TRANSACTION\n/* SET ROLE x */ SELECT 1",
        "INSERT INTO notes VALUES ('it''s; COMMIT')",
        "INSERT INTO notes VALUES ('SELECT set_config(''a'', ''b'', false), get_lock(1), @a := 1, autocommit = 0')",
        "SELECT 'pg_advisory_lock(1)', 'CREATE TEMP TABLE x' /* INTO TEMP x, @a := 1 */",
        "UPDATE users SET email = 'a@b.c' WHERE id = 1",
        "INSERT INTO templates (temp, temporary) VALUES (1, 2)",
        "DELETE FROM users WHERE name = 'BEGIN NOT ATOMIC COMMIT; END'",
        "REPLACE INTO notes VALUES ('COMMIT')",
        "WITH begin_at AS (SELECT 1) SELECT * FROM begin_at",
        "CREATE TABLE commits (start int, release_at int)",
        "CREATE INDEX temp_x ON t (a)",
        "COMMENT ON TABLE users IS 'PRAGMA x = 1'",
    ],
)
@pytest.mark.parametrize("dialect", ["postgresql", "mariadb", "sqlite", "oracle"])
def test_what_does_no_more_than_it_says_is_left_alone(statement: str, dialect: str) -> None:
    assert effect_of(statement, dialect) is Effect.NONE


RESET_ON_POSTGRESQL = [
    "SET ROLE nobody",
    "set search_path to elsewhere",
    'SET "search_path" = elsewhere',
    "SET/**/ROLE nobody",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET SESSION AUTHORIZATION nobody",
    "SET TIME ZONE 'CET'",
    "RESET ALL",
    "LISTEN news",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "CREATE TEMP TABLE t (id int)",
    "create temporary view v as select 1",
    "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
    "CREATE TABLE pg_temp.t (id int)",
    'CREATE TABLE "pg_temp".t (id int)',
    "SELECT 1 AS a INTO TEMP t",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock_shared($1)",
    "SELECT set_config('search_path', 'elsewhere', false)",
    "SELECT set_config($1, $2, $3)",
    "SELECT set_config/* at once */('role', $1, false)",
    """SELECT "set_config"('role', 'nobody', false)""",
    "SELECT pg_catalog . SET_CONFIG ('role', 'nobody', false)",
    """SELECT U&"set\\005fconfig"('role', 'nobody', false)""",
    "SELECT set_config('role', lower('NOBODY'), false), set_config('a.b', 'c', true)",
    "WITH x AS (SELECT set_config('role', 'nobody', false)) SELECT * FROM x",
    "UPDATE pg_settings SET setting = 'elsewhere' WHERE name = 'search_path'",
    'UPDATE ONLY pg_catalog."pg_settings" SET setting = $1',
    "WITH a AS (UPDATE pg_settings SET setting = 'x' RETURNING 1) SELECT * FROM a",
    "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1",
    "EXPLAIN (VERBOSE, ANALYZE true) CREATE TEMP TABLE t AS SELECT 1",
    "DO $$ BEGIN PERFORM 1; END $$",
    "CALL refresh()",
]
LASTING_ON_POSTGRESQL = [
    "LOAD 'auto_explain'",
    "PREPARE p AS SELECT 1",
    "DISCARD ALL",
    "SELECT dblink_connect('a', 'b')",
    "SELECT pg_backup_start('a')",
]
NONE_ON_POSTGRESQL = [
    "SET LOCAL ROLE nobody",
    "SET CONSTRAINTS ALL DEFERRED",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT set_config('role', 'nobody', true)",
    "SELECT set_config('role', 'nobody', is_local => true)",
    "SELECT $$ set_config('a', 'b', false) $$",
    "SELECT $a$ '; SET ROLE x; $a$, E'\\' set_config( '",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET ROLE x; RETURN 1; END $$",
    "EXPLAIN CREATE TEMP TABLE t AS SELECT 1",
    "/*!50000 COMMIT */ SELECT 1",
    "SELECT a @> b, c # d FROM t",
]
LASTING_ON_MARIADB = [
    "SET SESSION sql_mode = ''",
    "SET LOCAL sql_mode = ''",
    "SET @@session.sql_mode = ''",
    "SET @@sql_mode = ''",
    "SET GLOBAL a = 1, SESSION sql_mode = ''",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET TRANSACTION READ ONLY",
    "SET @a = 1",
    "SET ROLE nobody",
    "SET NAMES latin1",
    "SELECT GET_LOCK('a', 1)",
    "DO GET_LOCK('a', 1)",
    "SELECT @a := 1",
    "SELECT @`a b` := 1",
    "SELECT 1 INTO @a",
    "SELECT 1 /*!50000 INTO @a */",
    "LOAD DATA INFILE 'x' INTO TABLE t (@a, b)",
    "GET DIAGNOSTICS @a = ROW_COUNT",
    "CREATE TEMPORARY TABLE t (id int)",
    "BEGIN NOT ATOMIC SELECT 1; END",
    "EXECUTE IMMEDIATE @a",
    "EXECUTE s",
    "HANDLER t OPEN",
    "USE elsewhere",
]
COMMITTING_ON_MARIADB = [
    "LOCK TABLES t WRITE",
    "UNLOCK TABLES",
    "FLUSH TABLES WITH READ LOCK",
    "FLUSH TABLES t FOR EXPORT",
    "BACKUP STAGE START",
    "BACKUP LOCK t",
    "/*! LOCK TABLES t READ */",
    "SET STATEMENT max_statement_time=1 FOR FLUSH TABLES",
    "EXECUTE IMMEDIATE 'LOCK TABLES t WRITE'",
    "ANALYZE LOCAL TABLE t",
    "SET PASSWORD = ''",
]
NONE_ON_MARIADB = [
    "SET GLOBAL x = 1",
    "SET GLOBAL autocommit = 0",
    "SET STATEMENT max_statement_time=1 FOR SELECT 1",
    "SELECT 5--1",
    "SELECT \"@a := 1\", 'it\\'s @a := 1'",
    "SELECT IF(1, 2, 3)",
]
LASTING_ON_SQLITE = [
    "PRAGMA foreign_keys = OFF",
    "PRAGMA main.synchronous=off",
    "PRAGMA cache_size(10)",
    'PRAGMA "foreign_keys" /**/ = off',
    "/* one */ PRAGMA query_only(1)",
    "EXPLAIN PRAGMA foreign_keys = OFF",
    "EXPLAIN QUERY PLAN PRAGMA query_only = 1",
    "ATTACH DATABASE 'x' AS y",
    "CREATE TEMP TABLE t (id int)",
    "CREATE TABLE temp.t (id int)",
    "CREATE INDEX temp.x ON t (a)",
    "CREATE UNIQUE INDEX IF NOT EXISTS temp.x ON t (a)",
    "CREATE VIRTUAL TABLE [temp] . x USING fts5 (a)",
    'CREATE VIEW "temp".v AS SELECT 1',
    "SELECT load_extension('x')",
]
NONE_ON_SQLITE = [
    "PRAGMA table_info(users)",
    "PRAGMA foreign_keys",
    "PRAGMA quick_check(1)",
    "EXPLAIN PRAGMA foreign_keys",
]


@pytest.mark.parametrize(
    ("dialect", "statement", "effect"),
    [
        (dialect, statement, effect)
        for dialect, effect, statements in (
            ("postgresql", Effect.RESETTABLE, RESET_ON_POSTGRESQL),
            ("postgresql", Effect.LASTING, LASTING_ON_POSTGRESQL),
            ("postgresql", Effect.NONE, NONE_ON_POSTGRESQL),
            ("mariadb", Effect.LASTING, LASTING_ON_MARIADB),
            ("mariadb", Effect.COMMITTING, COMMITTING_ON_MARIADB),
            ("mariadb", Effect.NONE, NONE_ON_MARIADB),
            ("sqlite", Effect.LASTING, LASTING_ON_SQLITE),
            ("sqlite", Effect.NONE, NONE_ON_SQLITE),
        )
        for statement in statements
    ],
)
def test_what_is_set_for_a_session_is_found(dialect: str, statement: str, effect: Effect) -> None:
    assert effect_of(statement, dialect) is effect
