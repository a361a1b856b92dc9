"""Rows of a stream: fetched like statements are sent, for the session's owner alone, and carried."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncResult
from sqlalchemy.util import await_only, greenlet_spawn

from unitwork.connections.cancellation import shield
from unitwork.connections.labels import labels_of
from unitwork.unit import Unit

T = TypeVar("T")


def guard_fetches(result: AsyncResult[Any], unit: Unit) -> None:
    """Rows of a stream come past the session; SQLAlchemy has no public place to stand in their way, so its own
    fetch methods are wrapped on this one result (`test_a_stream_iterated_by_another_task_is_refused` pins them).
    """
    fetches = result._real_result  # noqa: SLF001 - see the docstring
    _look_at_labels(getattr(fetches, "raw", fetches))
    for name in ("_fetchiter_impl", "_fetchone_impl", "_fetchmany_impl", "_fetchall_impl"):
        setattr(fetches, name, _checked(getattr(fetches, name), unit))


def _look_at_labels(rows: Any) -> None:
    """Of the rows as they come from the driver, before models are made of them. Raises `UnknownLabel` there."""
    labels = labels_of(rows.context) if getattr(rows, "context", None) is not None else None
    if not labels:
        return
    one, many, everything = rows._fetchone_impl, rows._fetchmany_impl, rows._fetchall_impl  # noqa: SLF001 - a stream's rows have no public hook; test_a_stream_iterated_by_another_task_is_refused pins it

    def fetch_one(*arguments: Any, **options: Any) -> Any:
        row = one(*arguments, **options)
        labels.check(() if row is None else (row,))
        return row

    def looked_at(fetch: Callable[..., Any]) -> Callable[..., Any]:
        def fetched(*arguments: Any, **options: Any) -> Any:
            found = fetch(*arguments, **options)
            labels.check(found)
            return found

        return fetched

    rows._fetchone_impl = fetch_one  # noqa: SLF001 - a stream's rows have no public hook; test_a_stream_iterated_by_another_task_is_refused pins it
    rows._fetchmany_impl, rows._fetchall_impl = looked_at(many), looked_at(everything)  # noqa: SLF001 - a stream's rows have no public hook; test_a_stream_iterated_by_another_task_is_refused pins it


def _checked(fetch: Callable[..., T], unit: Unit) -> Callable[..., T]:
    def sent(*arguments: Any, **options: Any) -> T:
        unit.executing = time.monotonic()
        try:
            return fetch(*arguments, **options)
        finally:
            unit.executing = 0.0

    def checked(*arguments: Any, **options: Any) -> T:
        unit.check_use()
        return await_only(shield(greenlet_spawn(sent, *arguments, **options), unit))

    return checked
