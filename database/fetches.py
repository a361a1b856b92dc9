"""Rows of a stream: fetched like statements are sent, for the session's owner alone, and carried."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncResult
from sqlalchemy.util import await_only, greenlet_spawn

from database.carry import carry
from database.unit import Unit

T = TypeVar("T")


def guard_fetches(result: AsyncResult[Any], unit: Unit) -> None:
    """Rows of a stream come past the session; SQLAlchemy has no public place to stand in their way, so its own
    fetch methods are wrapped on this one result (`test_a_stream_iterated_by_another_task_is_refused` pins them).
    """
    fetches = result._real_result  # noqa: SLF001 - see the docstring
    for name in ("_fetchiter_impl", "_fetchone_impl", "_fetchmany_impl", "_fetchall_impl"):
        setattr(fetches, name, _checked(getattr(fetches, name), unit))


def _checked(fetch: Callable[..., T], unit: Unit) -> Callable[..., T]:
    def sent(*arguments: Any, **options: Any) -> T:
        unit.executing = time.monotonic()
        try:
            return fetch(*arguments, **options)
        finally:
            unit.executing = 0.0

    def checked(*arguments: Any, **options: Any) -> T:
        unit.check_use()
        return await_only(carry(greenlet_spawn(sent, *arguments, **options), unit))

    return checked
