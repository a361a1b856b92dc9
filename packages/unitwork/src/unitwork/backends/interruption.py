"""Interruption: making a driver give up what it does for a unit, when the grace is over."""

import asyncio
from typing import Any, Final

from unitwork.backends.registry import backend_of
from unitwork.held_connection import HeldConnection
from unitwork.unit import Unit

GRACE: Final = 0.25
"""Seconds, where the engine says nothing else."""
GRACE_OPTION: Final = "unitwork_cancel_grace"
"""The execution option under which an engine says what grace its units have."""


def break_off_statement(unit: Unit, future: "asyncio.Future[Any]") -> None:
    """End the unit's statement. On SQLite it fails as interrupted; elsewhere the driver, waiting for `future`, sees the
    cancellation, and the connection is dropped; the server is asked to end the statement (by asyncpg, and
    `unitwork.backends.mariadb`).
    """
    connection = _usable(unit)
    driver = None if connection is None else connection.connection.driver_connection
    if connection is None or driver is None or not backend_of(connection.dialect).interrupt(driver):
        future.cancel()


def break_off_ending(unit: Unit) -> None:
    """End the unit's COMMIT or ROLLBACK, or whatever it waits for, by closing its connection under it."""
    connection = _usable(unit)
    driver = None if connection is None else connection.connection.driver_connection
    if connection is not None and driver is not None:
        backend_of(connection.dialect).abort(driver)


def _usable(unit: Unit) -> HeldConnection | None:
    connection = unit.connection
    return None if connection is None or connection.closed or connection.invalidated else connection
