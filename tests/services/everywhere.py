"""Everything that a service has stored: every column of every table, and every byte of every file."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from containers import Container
from settings import Settings


async def found_anywhere(container: Container, words: Collection[str]) -> list[str]:
    """Return the places that hold one of these words, in any case: columns of tables, and bytes of files."""
    async with container.engine().connect() as connection:
        rows = await connection.run_sync(lambda sync: list(_cells(sync)))
    settings: Settings = container.settings()
    places = [*rows, *_files(settings)]
    return [f"{place}: {word}" for place, held in places for word in words if _holds(held, word)]


def _cells(connection: Connection) -> Iterator[tuple[str, bytes]]:
    found = inspect(connection)
    for table in [*found.get_table_names(), *found.get_view_names()]:
        quoted = connection.dialect.identifier_preparer.quote(table)
        for row in connection.execute(text(f"SELECT * FROM {quoted}")).mappings():
            for column, value in row.items():
                yield f"{table}.{column}", value if isinstance(value, bytes) else _text(value)


def _text(value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogateescape")


def _files(settings: Settings) -> Iterator[tuple[str, bytes]]:
    folders = [Path(settings.var_dir)]
    if settings.database.embedded:
        folders.append(Path(str(settings.database.url.database)).parent)
    name = Path(str(settings.database.url.database)).name
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and (folder == folders[0] or path.name.startswith(name)):
                yield str(path), path.read_bytes()


def _holds(held: bytes, word: str) -> bool:
    lowered = held.lower()
    escaped = word.encode("ascii", "backslashreplace").lower()
    return any(form in lowered for form in {word.lower().encode(), word.lower().encode("utf-16-le"), escaped})
