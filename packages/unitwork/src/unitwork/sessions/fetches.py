"""Fetches: the rows of a stream are fetched like statements are sent, by the session's owner only and shielded."""

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
    """Guard the fetches of a stream.

    They bypass the session, and SQLAlchemy has no public hook, so the fetch methods of this one result are wrapped
    (`test_a_stream_iterated_by_another_task_is_refused` pins them).
    """
    fetches = result._real_result  # noqa: SLF001 - see the docstring
    _check_labels(getattr(fetches, "raw", fetches))
    for name in ("_fetchiter_impl", "_fetchone_impl", "_fetchmany_impl", "_fetchall_impl"):
        setattr(fetches, name, _checked(getattr(fetches, name), unit))


def _check_labels(rows: Any) -> None:
    """Check enum labels in the driver's rows, before models are built from them. The fetches then raise
    `UnknownLabel`.
    """
    labels = labels_of(rows.context) if getattr(rows, "context", None) is not None else None
    if not labels:
        return
    one, many, everything = rows._fetchone_impl, rows._fetchmany_impl, rows._fetchall_impl  # noqa: SLF001 - a stream's rows have no public hook; test_a_stream_iterated_by_another_task_is_refused pins it

    def fetch_one(*arguments: Any, **options: Any) -> Any:
        row = one(*arguments, **options)
        labels.check(() if row is None else (row,))
        return row

    def checking(fetch: Callable[..., Any]) -> Callable[..., Any]:
        def fetched(*arguments: Any, **options: Any) -> Any:
            found = fetch(*arguments, **options)
            labels.check(found)
            return found

        return fetched

    rows._fetchone_impl = fetch_one  # noqa: SLF001 - a stream's rows have no public hook; test_a_stream_iterated_by_another_task_is_refused pins it
    rows._fetchmany_impl, rows._fetchall_impl = checking(many), checking(everything)  # noqa: SLF001 - a stream's rows have no public hook; test_a_stream_iterated_by_another_task_is_refused pins it


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
