"""The MariaDB server of a test run: create, copy and empty databases.

MariaDB has no template databases, and creating tables is slow: a database in which a test changed only rows is emptied
and used again.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any, Final

from sqlalchemy import URL, make_url

from unitwork.testing.servers.postgresql import apart

MARIADB_URL: Final = "UNITWORK_TEST_MARIADB_URL"
"""The environment variable with the server's URL; without it no test runs on MariaDB."""
_REVISION: Final = "alembic_version"
_NUMBER: Final = re.compile(r" AUTO_INCREMENT=\d+")


def named() -> bool:
    """True if the environment names a server."""
    return bool(os.environ.get(MARIADB_URL))


def url_of(database: str) -> str:
    """Return the URL of a database of the server."""
    url = make_url(os.environ[MARIADB_URL]).set(database=database)
    return url.render_as_string(hide_password=False)


def version() -> str:
    """Return the server's version. Raises OSError or the driver's error if it doesn't answer."""
    ((told,),) = _asked("SELECT VERSION()")
    return str(told).partition("-")[0]


def databases_of(prefix: str) -> list[str]:
    """Return the names of the databases with this prefix."""
    return [name for (name,) in _asked("SHOW DATABASES") if name.startswith(prefix)]


def drop(*names: str) -> None:
    """Drop databases, including those with open connections."""
    for name in names:
        _end_connections(name)
    _run(f"DROP DATABASE IF EXISTS `{name}`" for name in names)


def create(name: str, template: str | None) -> None:
    """Create a database, a copy of the template if there is one."""
    _run([f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4", *(_copied(name, template) if template else ())])


def restore(name: str, template: str) -> bool:
    """Restore the database to a copy of the template. False if more was changed than rows and additional tables and
    views.
    """
    _end_connections(name)
    expected, found = _tables(template), _tables(name)
    views, found_views = _views(template, name), _views(name, name)
    if any(_NUMBER.sub("", found.get(table, "")) != _NUMBER.sub("", sql) for table, sql in expected.items()):
        return False
    if any(found_views.get(view) != sql for view, sql in views.items()):
        return False
    statements = [f"DROP VIEW `{name}`.`{view}`" for view in found_views.keys() - views.keys()]
    statements += [f"DROP TABLE `{name}`.`{table}`" for table in found.keys() - expected.keys()]
    rows = expected.keys() - {_REVISION}
    statements += _emptied(name, {table: found[table] for table in rows})
    _run([*statements, *_rows_copied(name, template, rows)])
    return True


def empty(name: str) -> None:
    """Delete every row except the schema's revision, even if connections are open."""
    _end_connections(name)
    _run(_emptied(name, {table: sql for table, sql in _tables(name).items() if table != _REVISION}))


def _emptied(name: str, tables: Mapping[str, str]) -> list[str]:
    """Return TRUNCATE statements for the tables with rows or a used AUTO_INCREMENT.

    A DELETE would slow down the next test by lock waits, until the deleted rows are purged.
    """
    if not tables:
        return []
    union = " UNION ALL ".join(
        f"SELECT '{table}', EXISTS (SELECT 1 FROM `{name}`.`{table}`)"  # noqa: S608 - the names are ours
        for table in tables
    )
    filled = {table for table, some in _asked(union) if some}
    filled |= {table for table, sql in tables.items() if _NUMBER.search(sql)}
    return [f"TRUNCATE TABLE `{name}`.`{table}`" for table in filled]


def _copied(name: str, template: str) -> list[str]:
    tables = _tables(template)
    made = [sql.replace("CREATE TABLE ", f"CREATE TABLE `{name}`.", 1) for sql in tables.values()]
    return [f"USE `{name}`", *made, *_rows_copied(name, template, tables), *_in_order(_views(template, name))]


def _rows_copied(name: str, template: str, tables: Iterable[str]) -> list[str]:
    return [
        f"INSERT INTO `{name}`.`{table}` SELECT * FROM `{template}`.`{table}`"  # noqa: S608 - as above
        for table in tables
    ]


def _tables(name: str) -> dict[str, str]:
    """Return the CREATE statement of each table."""
    tables = [table for table, _ in _asked(f"SHOW FULL TABLES FROM `{name}` WHERE table_type = 'BASE TABLE'")]
    made = _asked(*(f"SHOW CREATE TABLE `{name}`.`{table}`" for table in tables))
    return {table: sql for table, sql, *_ in made}


def _views(name: str, into: str) -> dict[str, str]:
    """Return the CREATE statement of each view, for the database `into`."""
    views = [view for view, _ in _asked(f"SHOW FULL TABLES FROM `{name}` WHERE table_type = 'VIEW'")]
    made = _asked(*(f"SHOW CREATE VIEW `{name}`.`{view}`" for view in views))
    return {view: sql.replace(f"`{name}`.", f"`{into}`.") for view, sql, *_ in made}


def _in_order(views: Mapping[str, str]) -> list[str]:
    """Return the statements of views, each after those it depends on."""
    left, made = dict(views), list[str]()
    while left:
        ready = [view for view in left if not any(f".`{other}`" in left[view] for other in left if other != view)]
        made += [left.pop(view) for view in ready or list(left)]
    return made


def _end_connections(name: str) -> None:
    """Kill the test's leftover connections; they hold locks."""
    left = _asked(f"SELECT id FROM information_schema.processlist WHERE db = '{name}'")  # noqa: S608 - as above
    for (thread,) in left:
        try:
            _run([f"KILL {thread}"])
        except Exception as error:  # asyncmy's error, an optional dependency
            if not error.args or error.args[0] != 1094:  # 1094, unknown thread: it has ended
                raise


def _run(statements: Iterable[str]) -> None:
    _asked("SET SESSION FOREIGN_KEY_CHECKS = 0, SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", *statements)


def _asked(*statements: str) -> list[Sequence[Any]]:
    """Run the statements on one connection and return their rows."""

    async def connected() -> list[Sequence[Any]]:
        connection = await resolve_name("asyncmy:connect")(**options_of(make_url(os.environ[MARIADB_URL])))
        rows: list[Sequence[Any]] = []
        try:
            cursor = connection.cursor()
            for statement in statements:
                await cursor.execute(statement)
                rows += (await cursor.fetchall()) if cursor.description else ()
        finally:
            await connection.ensure_closed()
        return rows

    return apart(connected)


def options_of(url: URL) -> dict[str, Any]:
    """Return the driver's connection options."""
    given = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
    return {"database": url.database, "autocommit": True} | {name: value for name, value in given.items() if value}
