"""Interruption: make a driver stop its work for a unit when the grace period is over."""

import asyncio
from typing import Any, Final

from unitwork.backends.registry import backend_of
from unitwork.held_connection import HeldConnection
from unitwork.unit import Unit

DEFAULT_GRACE_SECONDS: Final = 0.25
"""Grace period in seconds, if the engine sets none."""
GRACE_OPTION: Final = "unitwork_cancel_grace"
"""Execution option of an engine: the grace period of its units in seconds."""


def interrupt_statement(unit: Unit, future: "asyncio.Future[Any]") -> None:
    """Interrupt the unit's statement.

    On SQLite it fails as interrupted. Elsewhere the driver, waiting for `future`, gets the cancellation and the
    connection is dropped; asyncpg or `unitwork.backends.mariadb` requests the server to end the statement.
    """
    connection = _usable(unit)
    driver = None if connection is None else connection.connection.driver_connection
    if connection is None or driver is None or not backend_of(connection.dialect).interrupt(driver):
        future.cancel()


def interrupt_ending(unit: Unit) -> None:
    """Interrupt the unit's COMMIT, ROLLBACK or other pending call by closing its connection."""
    connection = _usable(unit)
    driver = None if connection is None else connection.connection.driver_connection
    if connection is not None and driver is not None:
        backend_of(connection.dialect).abort(driver)


def _usable(unit: Unit) -> HeldConnection | None:
    connection = unit.connection
    return None if connection is None or connection.closed or connection.invalidated else connection
