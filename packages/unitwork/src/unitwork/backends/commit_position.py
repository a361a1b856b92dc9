"""Commit positions: a COMMIT that tells in its own trip where in the server's log it is.

The script has three statements: a mark that only a commit makes last, COMMIT, and a report in `application_name`, whose
changes the server announces with its answer.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import asyncpg

NAME_LENGTH: Final = 20
"""Number of characters of the application's name that are kept, as the setting has 63 bytes."""
UNSURE: Final = ("53", "57", "58", "XX")
"""SQLSTATE classes of errors that may meet the report, when COMMIT has been carried out."""
_MARK: Final = "unitwork.commit"

Committed = Callable[[str | None], object]
"""Called after each COMMIT with its position; "" if nothing was written, None if it isn't known."""


def plain(name: str) -> str:
    """Return the beginning of an application's name as it may stand in the script."""
    return re.sub(r"[^ -&(-\[\]-~]", "?", name)[:NAME_LENGTH]


def script(name: str, number: int) -> str:
    """Return the script that replaces the COMMIT of this number. It fails at once in an aborted transaction."""
    told = f"CASE WHEN current_setting('{_MARK}') = '{number} ' THEN '-' ELSE pg_current_wal_insert_lsn()::text END"
    return (
        f"SELECT set_config('{_MARK}', '{number} ' || coalesce(txid_current_if_assigned()::text, ''), false);"
        "COMMIT;"
        f"SELECT set_config('application_name', '{name} {number} ' || {told}, false);"
    )


def reported(application_name: str, number: int) -> str | None:
    """Return the LSN that the server has announced for the COMMIT of this number, "" if nothing was written; None if
    it has announced none, as where a proxy withholds it.
    """
    _, echo, lsn = application_name.rpartition(f" {number} ")
    if not echo:
        return None
    return "" if lsn == "-" else lsn


async def was_carried_out(driver: Any, error: asyncpg.PostgresError, number: int) -> bool:
    """True if the COMMIT of this number was carried out, though its script ended with `error`. One trip, and only for
    errors that leave it open.
    """
    if not (error.sqlstate or "").startswith(UNSURE) or driver.is_closed():
        return False
    mark = await driver.fetchval(f"SELECT current_setting('{_MARK}', true)")
    return bool(mark and mark.startswith(f"{number} "))
