"""ReplicaSession: the session of one autocommit read that a replica serves. What a replica can't do goes to the
primary: nothing was stored, and nothing read, before.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import CompoundSelect, Engine, Select

from unitwork.errors import DatabaseError
from unitwork.replicas.replica import primary_may_do
from unitwork.sessions import read_only
from unitwork.sessions.guarded_session import GuardedSession
from unitwork.sessions.restoring import RestoringSession
from unitwork.sessions.session import ProvidedSession


class GuardedReplicaSession(GuardedSession):
    """The synchronous session inside."""

    at_replica = True
    to_primary: Callable[[BaseException | None], Engine]
    """Let the unit go on at the primary, and return the engine it connects through. Takes the replica's error; None if
    nothing was sent to it.
    """

    def get_bind(self, mapper: Any = None, *, clause: Any = None, **options: Any) -> Any:
        if self.at_replica and not _reads(clause):
            self._leave(None)
        return super().get_bind(mapper, clause=clause, **options)

    def _read(self, send: Callable[..., Any], statement: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return super()._read(send, statement, *arguments, **options)
        except DatabaseError as error:
            if not self.at_replica or not primary_may_do(error):
                raise
            self._leave(error)
        return super()._read(send, statement, *arguments, **options)

    def repeats(self, statement: Any) -> bool:
        return not self.at_replica and super().repeats(statement)

    def _leave(self, error: BaseException | None) -> None:
        self.at_replica = False
        # Not `GuardedSession`'s, which refuses: this ends a block that has done nothing.
        RestoringSession.rollback(self)
        self.bind = self.to_primary(error)


class ReplicaSession(ProvidedSession):
    """The session."""

    sync_session_class = GuardedReplicaSession


def _reads(clause: Any) -> bool:
    """True for a SELECT that a replica may serve; False for text, for a change, and where there is no statement yet."""
    return (
        isinstance(clause, Select | CompoundSelect)
        and getattr(clause, "_for_update_arg", None) is None
        and not read_only.writes(clause)
    )
