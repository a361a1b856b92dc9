"""UnboundSession: a SQLAlchemy session whose flush writes to a view of the store instead of a database.

SQLAlchemy tracks which objects are new, changed, deleted, expired or detached; `GuardedSession` checks the session's
owner, permissions and state. Only what needs a connection is replaced here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session, make_transient
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.unitofwork import UOWTransaction
from sqlalchemy.util import IdentitySet

from unitwork.errors import StaleVersion
from unitwork.outcome import Outcome
from unitwork.sessions.loaded_values import LoadedValues
from unitwork.testing.fakes.errors import NotFaked, written
from unitwork.testing.fakes.rows.defaults import Generators, changed_values, new_row, update_defaults
from unitwork.testing.fakes.rows.expressions import is_expression
from unitwork.testing.fakes.rows.references import Place, check_references, follow_deletion
from unitwork.testing.fakes.rows.store import View, Written
from unitwork.testing.fakes.rows.table import Identity, StoredTable, as_stored
from unitwork.testing.fakes.rows.values import Values, stored
from unitwork.unit import Unit

INSTEAD = (
    ", or a DAO that answers it from memory: subclass `InMemoryDao` and the DAO, ask through a builder, and override "
    "the DAO in the container"
)


@dataclass(frozen=True, eq=False)
class Mark:
    """The state of a session at a savepoint, for `undo`."""

    written: Written
    steps: int
    loaded: LoadedValues = field(default_factory=LoadedValues)
    """The values of models before the changes made since."""


class UnboundSession(Session):
    """Replaces what `GuardedSession` does on a connection."""

    unit: Unit
    view: View
    generators: Generators
    ended: Callable[[Outcome | None], None] | None
    """Called once, with the transaction's outcome."""
    answering = False
    """True while the statement passed to `get_bind` is answered from memory."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.marks = [Mark({}, 0)]
        """One mark for the beginning of the transaction, and one for each savepoint."""
        self._steps: list[tuple[str, object]] = []

    def get_bind(self, mapper: Any = None, *, clause: Any = None, **options: Any) -> Any:
        """Refuse access to a database: every way to one calls this method."""
        if self.answering:
            return None
        asked = "a connection of a fake session" if clause is None else f"{written(clause)} on a fake session"
        raise NotFaked(asked, INSTEAD)

    def store(self) -> None:
        """Make the writes visible to others, in place of COMMIT: after `before_commit` listeners and before
        `after_commit` listeners.
        """
        self.view.commit()
        self.unit.commit_answered = True
        self._end(Outcome.COMMITTED)

    def rollback(self) -> None:
        self.undo(self.marks[0])
        super().rollback()
        self._end(Outcome.ROLLED_BACK)

    def _end(self, outcome: Outcome) -> None:
        if self.ended is not None:
            tell, self.ended = self.ended, None
            self.view.store.end_turn(self.view)
            tell(outcome if self.unit.transactional else None)

    def flush(self, objects: Any = None) -> None:
        """Apply updates, insertions and deletions in SQLAlchemy's order; all or none."""
        if objects is not None:
            raise NotFaked("flushing some objects and not others")
        self.note_changes()
        try:
            if self.dispatch.before_flush and (self.new or self.deleted or self.dirty):
                self.dispatch.before_flush(self, UOWTransaction(self), objects)
                self.note_changes()
            self._write()
        except BaseException as error:
            # A failed flush ends its transaction or savepoint, whatever the cause.
            self.undo(self.marks[-1])
            self.unit.failed(error, connection_lost=False)
            raise
        self.statement_done()

    def statement_done(self) -> None:
        """Commit the statement's effect if there is no transaction."""
        if not self.unit.transactional:
            self.view.commit()
            self.view.store.end_turn(self.view)
            self._steps.clear()
            self.marks[0].loaded.clear()

    def note_changes(self) -> None:
        """Save the values of models before their pending changes."""
        changed = [*self.dirty, *self.deleted]
        self.marks[-1].loaded.note([inspect(row) for row in changed], skipped=self._added(self.marks[-1]))

    def _added(self, mark: Mark) -> set[Any]:
        return {inspect(row) for what, row in self._steps[mark.steps :] if what == "added"}

    def mark(self) -> Mark:
        """Return a mark for `undo`."""
        return Mark(self.view.mark(), len(self._steps))

    def undo(self, mark: Mark) -> None:
        """Roll back to the mark: models added since are no longer persistent, changed ones get their former values."""
        self.note_changes()
        new = self._added(mark)
        self.release(mark)
        self.view.restore(mark.written)
        steps, self._steps = self._steps[mark.steps :], self._steps[: mark.steps]
        added = IdentitySet(row for what, row in steps if what == "added")
        for row in [*self.new, *added]:
            make_transient(row)
        for row in [*self.deleted, *(row for what, row in steps if what == "deleted")]:
            if row not in added:
                vars(inspect(row)).pop("_deleted", None)
                super().add(row)
        mark.loaded.put_back(skipped=new)
        mark.loaded.clear()

    def release(self, mark: Mark) -> None:
        """Merge the changes of the savepoints since this mark into it."""
        for inner in self.marks[self.marks.index(mark) + 1 :]:
            inner.loaded.join(mark.loaded)

    def note(self, what: str, row: object) -> None:
        """Record that a model was `added`, `changed` or `deleted`, for `undo`."""
        self._steps.append((what, row))

    def settle(self, row: object) -> None:
        """Mark the model as stored: it has no pending changes."""
        if row in self.new:
            self.expunge(row)
        expired = set(inspect(row).expired_attributes)
        make_transient(row)
        inspect(row).expired_attributes.update(expired)
        as_stored(row)
        super().add(row)

    def model(self, table: StoredTable, values: Values) -> Any:
        """Return the row's model: the one in this session, with its current values, else a new one."""
        row = self.identity_map.get(table.identity_key(values))
        if row is None:
            row = table.new_model(values)
            as_stored(row)
            super().add(row)
        elif missing := inspect(row).expired_attributes:
            for name, value in table.attribute_values(values).items():
                if name in missing:
                    set_committed_value(row, name, value)
        return row

    def load(self, table: StoredTable, row: object) -> None:
        """Overwrite a model's values with those stored for its row."""
        values = self.view.get(table.table, self._identity(table, row))
        if values is None:
            return
        names = {name: value for name, value in table.attribute_values(values).items() if name not in table.unasked}
        for name, value in names.items():
            set_committed_value(row, name, value)
        table.mapper.class_manager.dispatch.refresh(inspect(row), None, names)

    def forget(self, row: object) -> None:
        """Remove the model of a deleted row from the session."""
        self._remove_newly_deleted([inspect(row)])

    def refresh_held(self, table: StoredTable, identity: Identity, changed: Iterable[str]) -> None:
        """Update a model in the session with the columns that an UPDATE has set, discarding pending changes of them."""
        values = self.view.get(table.table, identity)
        row = None if values is None else self.identity_map.get(table.identity_key(values))
        if values is None or row is None:
            return
        after = table.attribute_values(values)
        self.marks[-1].loaded.note([inspect(row)], skipped=self._added(self.marks[-1]))
        for key in changed:
            name = table.attributes.get(key)
            if name is not None and name in inspect(row).dict:
                set_committed_value(row, name, after[name])
        self.note("changed", row)

    def _write(self) -> None:
        deleted = self.deleted
        changed = [row for row in self.dirty if row not in deleted]
        places = [self._update(row) for row in self._by_key(changed) if self.is_modified(row)]
        places += [self._insert(row) for row in list(self.new)]
        removed = [gone for row in self._by_key(deleted) for gone in self._delete(row)]
        check_references(self.view, places, removed)
        for row in list(self.dirty):
            self.settle(row)

    def _by_key(self, rows: Iterable[Any]) -> list[Any]:
        return sorted(rows, key=lambda row: (type(row).__name__, inspect(row).identity))

    def _insert(self, row: Any) -> Place:
        table = self.view.store.table(type(row))
        new = new_row(table, row, self.generators)
        identity = self.view.insert(table, new.values)
        for name, value in new.attributes.items():
            set_committed_value(row, name, value)
        self.settle(row)
        table.flushed(row)
        self.note("added", row)
        return table.table, identity

    def _update(self, row: Any) -> Place:
        table = self.view.store.table(type(row))
        current = self._current(table, row)
        if current is None:
            raise StaleVersion
        attributes = inspect(row).attrs
        changes = {
            column.key: attributes[name].value
            for name, column in table.columns.items()
            if attributes[name].history.has_changes()
        }
        given = {key for key, value in changes.items() if not is_expression(value)}
        if changes.keys() & set(table.primary):
            raise NotFaked(f"changing the primary key of a {table.model.__name__}")
        if table.version is not None and table.version not in changes:
            changes[table.version] = table.next_version(getattr(row, table.attributes[table.version]))
        changes |= update_defaults(table, changes, self.generators)
        values = changed_values(table, current, changes)
        identity = table.identity(values)
        self.view.update(table, identity, values)
        self.note("changed", row)
        after = table.attribute_values(values)
        for name, column in table.columns.items():
            if column.key in changes.keys() - given:
                set_committed_value(row, name, after[name])
        self.settle(row)
        table.flushed(row)
        return table.table, identity

    def _delete(self, row: Any) -> Iterator[tuple[Any, Values]]:
        table = self.view.store.table(type(row))
        current = self._current(table, row)
        if current is None:
            if table.version is not None:
                raise StaleVersion
        else:
            yield from self._remove(table.table, table.identity(current), current)
        self.note("deleted", row)
        self.forget(row)

    def remove(self, table: StoredTable, rows: Iterable[Values]) -> Iterator[tuple[Any, Values]]:
        """Delete stored rows and follow their foreign keys; yield each deleted row."""
        for values in rows:
            yield from self._remove(table.table, table.identity(values), values)

    def _remove(self, table: Any, identity: Any, values: Values) -> Iterator[tuple[Any, Values]]:
        self.view.delete(table, identity)
        yield table, values
        for child, place, before, after in list(follow_deletion(self.view, table, values)):
            if after is None:
                yield from self._remove(child, place, before)
            else:
                self.view.update(self.view.store.tables[child], place, after)

    def _current(self, table: StoredTable, row: Any) -> Values | None:
        """Return the row as stored now; None if another unit has changed or removed it since it was read."""
        current = self.view.get(table.table, self._identity(table, row))
        if current is None or table.version is None:
            return current
        version = inspect(row).attrs[table.attributes[table.version]]
        read = version.history.deleted[0] if version.history.deleted else version.value
        return current if current[table.version] == read else None

    def _identity(self, table: StoredTable, row: Any) -> Identity:
        keys = zip(table.primary, inspect(row).identity, strict=True)
        return tuple(stored(table.table.columns[key].type, value) for key, value in keys)


event.listen(UnboundSession, "after_commit", UnboundSession.store, propagate=True)
