"""Hazards: each dangerous statement is named by its rule, and what is safe by none."""

import pytest

from unitwork.migration_hazards import RECIPES, hazards


def rules(sql: str, source: str = "", *, declared: bool = False) -> list[str]:
    found = hazards(
        "0002", f"BEGIN;\n\n-- Running upgrade\n\n{sql};\n\nCOMMIT;\n\n", source, declared=declared, version_table="v"
    )
    assert all(one.recipe and one.revision == "0002" for one in found)
    return [one.rule for one in found]


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("CREATE UNIQUE INDEX ix ON users (a)", "index"),
        ("CREATE INDEX ix ON public.users (a)", "index"),
        ("DROP INDEX ix", "drop-index"),
        ("ALTER TABLE users ADD COLUMN a INTEGER NOT NULL", "not-null-column"),
        ("ALTER TABLE users ALTER COLUMN a SET NOT NULL", "set-not-null"),
        ("ALTER TABLE users ADD COLUMN a UUID DEFAULT gen_random_uuid()", "default"),
        ("ALTER TABLE users ADD COLUMN a INT GENERATED ALWAYS AS (b + 1) STORED", "default"),
        ("ALTER TABLE users ADD COLUMN a BIGSERIAL", "default"),
        ("ALTER TABLE users ALTER COLUMN a TYPE BIGINT USING a::bigint", "type"),
        ("ALTER TABLE users RENAME TO people", "rename"),
        ("ALTER TABLE users RENAME a TO b", "rename"),
        ("ALTER TABLE users DROP COLUMN a", "drop"),
        ("DROP TABLE users", "drop"),
        ("ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY(a) REFERENCES b (id)", "foreign-key"),
        ("ALTER TABLE users ADD COLUMN a BIGINT REFERENCES b (id)", "foreign-key"),
        ("ALTER TABLE users ADD CONSTRAINT ck CHECK (a > 0)", "check"),
        ("ALTER TABLE users ADD CONSTRAINT uq UNIQUE (a, b)", "unique"),
        ("ALTER TABLE users ADD PRIMARY KEY (a)", "unique"),
        ("ALTER TABLE users ADD COLUMN a INT, ALTER COLUMN b SET NOT NULL", "set-not-null"),
        ("UPDATE users SET a = 1", "whole-table"),
        ("DELETE FROM users WHERE a = 1", "whole-table"),
        ("LOCK TABLE users", "lock"),
        ("REINDEX TABLE users", "lock"),
    ],
)
def test_what_stops_or_breaks_others_is_named(sql: str, rule: str) -> None:
    assert rules(sql) == [rule]
    assert rule in RECIPES
    assert rules(sql, f"# lint: allow {rule} - the table is small") == []
    assert rules(sql, f"# lint: allow {rule}") == [rule], "a reason is needed"


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE users (id BIGINT);\n\nCREATE INDEX ix ON users (id);\n\nALTER TABLE users ADD CHECK (id > 0)",
        "CREATE INDEX CONCURRENTLY ix ON users (a)",
        "DROP INDEX CONCURRENTLY ix",
        "ALTER TABLE users ADD COLUMN a INTEGER",
        "ALTER TABLE users ADD COLUMN a INTEGER DEFAULT 0 NOT NULL",
        "ALTER TABLE users ADD COLUMN a TIMESTAMP DEFAULT now() NOT NULL",
        "ALTER TABLE users ADD COLUMN a NUMERIC(10, 2)",
        "ALTER TABLE users ADD CONSTRAINT ck CHECK (a > 0) NOT VALID",
        "ALTER TABLE users VALIDATE CONSTRAINT ck",
        "ALTER TABLE users ADD CONSTRAINT uq UNIQUE USING INDEX ix",
        "ALTER TABLE users DROP CONSTRAINT ck",
        "ALTER TABLE users ALTER COLUMN a DROP NOT NULL",
        "ALTER TABLE users ALTER COLUMN a SET DEFAULT random()",
        "UPDATE v SET version_num = '0002'",
    ],
)
def test_what_is_safe_is_not(sql: str) -> None:
    assert rules(sql) == []


def test_a_migration_that_says_which_releases_work_with_it_may_take_away() -> None:
    assert rules("ALTER TABLE users DROP COLUMN a", declared=True) == []
    assert rules("ALTER TABLE users ALTER COLUMN a SET NOT NULL", declared=True) == ["set-not-null"]
