"""Columns are loaded with their row or raise on access: a lazy load would be a hidden statement.

It raises where SQLAlchemy couldn't send a statement (the session has ended, or is an asyncio session outside an
`await`); the error names the column and how to load it. Access to loaded columns has no extra cost.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import ColumnProperty, DeclarativeBase, InstanceState, Mapper, PassiveFlag, QueryableAttribute
from sqlalchemy.orm.base import PASSIVE_OFF
from sqlalchemy.orm.strategies import _LoadDeferredColumns
from sqlalchemy.util.concurrency import in_greenlet

from unitwork.errors.model import ColumnNotLoaded

_IMPL: Final = QueryableAttribute.__module__
"""The module whose frame shows the attribute access that triggered a loader."""


def refuse_unseen_loads(base: type[DeclarativeBase]) -> None:
    """Refuse lazy loads of columns for every model of this base."""
    event.listen(base, "mapper_configured", _configured, propagate=True)


def _configured(mapper: Mapper[Any], _model: type[Any]) -> None:
    refuse_unseen_loads_of(mapper)


def refuse_unseen_loads_of(mapper: Mapper[Any]) -> None:
    """Refuse lazy loads of columns for one model of any base; idempotent."""
    manager: Any = mapper.class_manager
    if isinstance(manager.expired_attribute_loader, _ExpiredLoader) or not mapper.configured:
        return
    manager.expired_attribute_loader = _ExpiredLoader(manager.expired_attribute_loader)
    for column in mapper.column_attrs:
        attribute: Any = manager.get(column.key)
        if attribute is not None and attribute.impl.callable_ is not None:
            attribute.impl.callable_ = _deferred_loader(column.key, attribute.impl.callable_)
        if column.parent is mapper:
            _name_deferred(column, manager)


class _ExpiredLoader:
    """SQLAlchemy's loader of expired columns; raises if it can't load."""

    def __init__(self, load: Callable[..., Any]) -> None:
        self._load = load

    def __call__(self, state: InstanceState[Any], keys: set[str], passive: Any) -> Any:
        if _unreachable(state):
            raise _refusal(state, _asked(sys._getframe(1), keys))  # noqa: SLF001 - it has no public name
        return self._load(state, keys, passive)


class LoadDeferred(_LoadDeferredColumns):
    """SQLAlchemy's loader of a column that a query deferred. Instances are pickled with it."""

    def __call__(self, state: InstanceState[Any], passive: PassiveFlag = PASSIVE_OFF) -> Any:
        return _load_deferred(self.key, super().__call__, state, passive)


def _deferred_loader(key: str, load: Callable[..., Any]) -> Callable[..., Any]:
    """Return the loader of a column that is deferred by its mapping."""
    return lambda state, passive: _load_deferred(key, load, state, passive)


def _load_deferred(key: str, load: Callable[..., Any], state: InstanceState[Any], passive: PassiveFlag) -> Any:
    if state.key is not None and passive & PassiveFlag.SQL_OK and _unreachable(state):
        raise _refusal(state, key, deferred=True)
    try:
        return load(state, passive)
    except InvalidRequestError as error:
        if "raiseload" not in str(error):
            raise
        raise _refusal(state, key, deferred=True) from error


def _name_deferred(column: ColumnProperty[Any], manager: Any) -> None:
    """Replace the loader that SQLAlchemy creates at the first query that defers the column
    (`ColumnProperty._deferred_column_loader`).
    """
    loader: Any = column
    install = InstanceState._instance_level_callable_processor  # noqa: SLF001 - they have no public names
    loader._deferred_column_loader = install(manager, LoadDeferred(column.key), column.key)  # noqa: SLF001
    loader._raise_column_loader = install(manager, LoadDeferred(column.key, True), column.key)  # noqa: SLF001


def _unreachable(state: InstanceState[Any]) -> bool:
    """True if there is no session, or one that can't send a statement here without an `await`."""
    return state.session is None or (state.async_session is not None and not in_greenlet())


def _refusal(state: InstanceState[Any], column: str, *, deferred: bool = False) -> ColumnNotLoaded:
    return ColumnNotLoaded(state.class_.__name__, column, deferred=deferred)


def _asked(frame: FrameType | None, keys: set[str]) -> str:
    """Return the column that was accessed: SQLAlchemy passes its loader only the columns to load."""
    while frame is not None and len(keys) > 1:
        asked = frame.f_locals.get("key") if frame.f_globals.get("__name__") == _IMPL else None
        if asked in keys:
            return str(asked)
        frame = frame.f_back
    return ", ".join(sorted(keys))
