"""Compatibility: the oldest revision whose code works with the schema, stored beside the schema's own.

A process of an older release finds a revision that its folder doesn't have. It may go on if the stored one is of its
folder: then no migration since has taken away what it uses.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import String, column, table

from unitwork.errors import UnknownRevision

COLUMN: Final = "compatible_from"
"""Column of the version table, and constant of a migration's module."""


class Fit(StrEnum):
    """Relation of a database's schema to this code."""

    CURRENT = "current"
    """At the newest revision of the folder."""
    NEWER = "newer"
    """At a revision that isn't in the folder, and works with this code."""
    BEHIND = "behind"
    """At an older revision, or at none."""
    AHEAD = "ahead"
    """At a revision that isn't in the folder, and doesn't work with this code, or doesn't say so."""


@dataclass(frozen=True)
class StoredRevision:
    """The revision that a database is at, None before the first; the oldest one that works with its schema, None if
    that isn't stored; and `writable`, False for a server that takes no writes.
    """

    revision: str | None
    compatible_from: str | None = None
    writable: bool = True

    def fit(self, known: Sequence[str]) -> Fit:
        """Compare with the revisions of a folder, newest first."""
        if known and self.revision == known[0]:
            return Fit.CURRENT
        if self.revision is None or self.revision in known:
            return Fit.BEHIND
        return Fit.NEWER if self.compatible_from in known else Fit.AHEAD


class Compatibility:
    """Alembic's `on_version_apply`: stores, with each revision, the oldest one whose code works with the schema.

    That is the newest `compatible_from` that the migrations up to here declare as constants of their modules, `since`
    at least: the revision of the migration that adds the column to the version table. A migration that only adds what
    older code needn't know declares nothing. One that takes something away declares the first revision whose code does
    without it. Raises `UnknownRevision` if that comes after the migration.
    """

    def __init__(self, since: str) -> None:
        self._since = since

    def __call__(self, ctx: Any, step: Any, heads: Collection[Any], run_args: Any) -> None:
        scripts = list(reversed(list(step.revision_map.iterate_revisions(tuple(heads), "base")))) if heads else []
        order = [str(script.revision) for script in scripts]
        if self._since not in order:
            return
        oldest = order.index(self._since)
        for place, script in enumerate(scripts):
            declared = getattr(script.module, COLUMN, None)
            if declared is None:
                continue
            if declared not in order[: place + 1]:
                msg = f"migration '{script.revision}' is compatible from '{declared}', which isn't before it"
                raise UnknownRevision(msg)
            oldest = max(oldest, order.index(declared))
        versions = table(ctx.version_table, column(COLUMN, String), schema=ctx.version_table_schema)
        ctx.execute(versions.update().values({COLUMN: order[oldest]}))
