"""RestoringSession: SQLAlchemy's session, but models stay readable after a rollback.

Its transaction, and each savepoint in it, keeps the values that models had before a flush or an UPDATE construct
changed them (`unitwork.sessions.loaded_values`). SQLAlchemy has no public hook for that; overriding the transaction's
snapshot methods comes nearest.
"""

from functools import cached_property
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState, Mapper, Session, SessionTransaction, SessionTransactionOrigin

from unitwork.models.unloaded_columns import refuse_unseen_loads_of
from unitwork.outcome import Outcome
from unitwork.sessions.loaded_values import LoadedValues, keep_identity
from unitwork.sessions.write_recorder import dml_in
from unitwork.unit import Unit


class RestoringTransaction(SessionTransaction):
    """The transaction itself, or a savepoint in it."""

    session: "RestoringSession"

    @cached_property
    def loaded(self) -> LoadedValues:
        """Loaded values, created on first use: most transactions change no model that they have read."""
        return LoadedValues()

    def _begin(self, nested: bool = False) -> SessionTransaction:
        if nested and self.is_active:
            return RestoringTransaction(self.session, SessionTransactionOrigin.BEGIN_NESTED, self)
        self.note_pending()  # before a flush
        return super()._begin(nested)

    def note_pending(self) -> None:
        """Keep the current values of models with pending changes."""
        inside: Any = self.session
        for state in inside._new:  # noqa: SLF001 - `new`, `dirty` and `deleted` make sets of models
            refuse_unseen_loads_of(state.mapper)
        modified, deleted = inside.identity_map._modified, inside._deleted  # noqa: SLF001 - private to SQLAlchemy's session; listed in 0063, test_rolled_back_models pins it
        if modified or deleted:
            self.note([*modified, *deleted])

    def note(self, states: list[InstanceState[Any]]) -> None:
        """Keep the current values of models that are about to change."""
        self.loaded.note(states, skipped=self._new)

    def _restore_snapshot(self, dirty_only: bool = False) -> None:
        session: Any = self.session
        if session.unit.outcome is Outcome.UNKNOWN:
            session.undecided = self
            return
        self.note_pending()
        # Without a transaction, part of what a failed flush sent may be stored.
        certain = session.unit.transactional or not session._flushing  # noqa: SLF001 - no public name
        for state in self.loaded.put_back(skipped={*self._new, *session._new}, certain=certain):  # noqa: SLF001 - private to SQLAlchemy's session; listed in 0063, test_rolled_back_models pins it
            self._dirty.pop(state, None)
        super()._restore_snapshot(dirty_only=True)
        for state in session.identity_map.all_states():
            if state.expired_attributes:
                keep_identity(state)

    def _remove_snapshot(self) -> None:
        super()._remove_snapshot()
        if self.nested:
            self._join_outer()

    def close(self, invalidate: bool = False) -> None:
        if self.nested and self.is_active:  # closed by the rollback of the enclosing transaction
            super()._remove_snapshot()
            self._join_outer()
        super().close(invalidate)

    def _join_outer(self) -> None:
        outer = None if self._parent is None else self._parent._connections_boundary  # noqa: SLF001 - no public name
        if isinstance(outer, RestoringTransaction):
            self.loaded.join(outer.loaded)

    def keep_changes(self) -> None:
        """Drop the kept values: without a transaction, what was sent is stored whatever fails later."""
        self.loaded.clear()
        for states in (self._new, self._dirty, self._deleted, self._key_switches):
            states.clear()

    def decide(self, outcome: Outcome | None) -> None:
        """Restore the models after a lost COMMIT answer, once the outcome is known or can no longer be determined. The
        session has already released its models.
        """
        if outcome is not Outcome.COMMITTED:
            for state in self._new:
                vars(state).pop("key", None)
            self.loaded.put_back(skipped=self._new, certain=outcome is Outcome.ROLLED_BACK)


class RestoringSession(Session):
    """Session of a unit."""

    unit: Unit
    undecided: RestoringTransaction | None = None
    """Transaction whose COMMIT got no answer."""

    def _autobegin_t(self, begin: bool = False) -> SessionTransaction:
        if self._transaction is None and (begin or self.autobegin):
            origin = SessionTransactionOrigin.BEGIN if begin else SessionTransactionOrigin.AUTOBEGIN
            return RestoringTransaction(self, origin)
        return super()._autobegin_t(begin)

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """Execute a statement. An UPDATE construct also changes the models that the session holds, so their values are
        kept first.
        """
        if not getattr(statement, "is_dml", False):
            mapper = _subject(statement)
            if mapper is not None:
                refuse_unseen_loads_of(mapper)  # for models of any base class
            return super().execute(statement, params, **options)
        if len(self.identity_map):
            mapper = _subject(dml_in(statement)[0])
            if mapper is not None:
                self.note_held(mapper.class_)
        result = super().execute(statement, params, **options)
        if not self.unit.transactional:
            self._keep_what_was_sent()
        return result

    def flush(self, objects: Any = None) -> None:
        super().flush(objects)
        if not self.unit.transactional:
            self._keep_what_was_sent()

    def note_held(self, model: type[Any]) -> None:
        """Keep the values of the session's instances of this model, whose rows are about to be changed by a
        statement.
        """
        boundary = self._boundary() if len(self.identity_map) else None
        if boundary is not None:
            boundary.note([state for state in self.identity_map.all_states() if issubclass(state.class_, model)])

    def note_pending(self) -> None:
        """Keep the values of the models with pending changes, as a flush does before it sends them."""
        boundary = self._boundary()
        if boundary is not None:
            boundary.note_pending()

    def _keep_what_was_sent(self) -> None:
        boundary = self._boundary()
        if boundary is not None:
            boundary.keep_changes()

    def _boundary(self) -> RestoringTransaction | None:
        """Return the innermost savepoint, or the transaction itself."""
        within = self._transaction
        boundary = None if within is None else within._connections_boundary  # noqa: SLF001 - no public name
        return boundary if isinstance(boundary, RestoringTransaction) else None


def decide(session: Session) -> None:
    """Settle the models of a session whose COMMIT got no answer, by its unit's outcome."""
    if isinstance(session, RestoringSession) and session.undecided is not None:
        session.undecided.decide(session.unit.outcome)
        session.undecided = None


def remember(session: AsyncSession, model: type[Any]) -> None:
    """Keep the values of the session's instances of this model before they are read again, their rows having been
    written by a statement.
    """
    inside = session.sync_session
    if isinstance(inside, RestoringSession):
        inside.note_held(model)


def _subject(statement: Any) -> Mapper[Any] | None:
    """Return the mapper of the model that a statement selects or changes; None for others."""
    mapper = getattr(statement, "_propagate_attrs", {}).get("plugin_subject")
    return mapper if isinstance(mapper, Mapper) else None
