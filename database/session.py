"""Session providers: callables that give a session for the length of a block.

The session is SQLAlchemy's own; what differs is who ends its transaction. A block that ends normally commits,
one left by any exception rolls back, and nothing inside it can do either.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, NoReturn, Protocol

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from database.engine import install
from database.errors import StaleVersion, TransactionIsOurs
from database.sqlite import READ_ONLY
from domain.model import ID_GENERATOR
from domain.snowflake import Snowflake


class SessionProvider(Protocol):
    """Any callable of this signature is a session provider; tests put their own in its place."""

    def __call__(
        self, *, autoflush: bool = True, read_only: bool = False
    ) -> AbstractAsyncContextManager[AsyncSession]: ...


class FlushingSession(Session):
    """The synchronous session inside: a lost optimistic lock gets its own error, wherever the flush came from."""

    def flush(self, objects: Any = None) -> None:
        try:
            super().flush(objects)
        except StaleDataError as error:
            raise StaleVersion from error


class ProvidedSession(AsyncSession):
    """An AsyncSession whose end belongs to the block that provides it."""

    sync_session_class = FlushingSession

    async def commit(self) -> NoReturn:
        raise TransactionIsOurs("commit")

    async def rollback(self) -> NoReturn:
        raise TransactionIsOurs("rollback")

    async def close(self) -> NoReturn:
        raise TransactionIsOurs("close")

    def begin(self) -> NoReturn:
        raise TransactionIsOurs("begin")

    async def finish_by_commit(self) -> None:
        """For the block that provides this session."""
        await super().commit()

    async def finish_by_rollback(self) -> None:
        """For the block that provides this session."""
        await super().rollback()

    async def finish(self) -> None:
        """For the block that provides this session: give the connection back; models outlive it."""
        await super().close()


class SessionFactory:
    """Makes sessions on the container's engine, whichever that is at the moment.

    The engine is asked for at every call, so an override takes effect at once; what an engine needs is
    registered when it is first seen.
    """

    def __init__(self, engine: Callable[[], AsyncEngine], id_generator: Snowflake) -> None:
        self._engine = engine
        self._options = {ID_GENERATOR: id_generator}
        self._binds: tuple[AsyncEngine, AsyncEngine, AsyncEngine] | None = None

    def __call__(self, *, read_only: bool, autoflush: bool) -> ProvidedSession:
        """A session that has not connected yet. Raises `EngineNotStarted` outside `running()`."""
        engine = self._engine()
        if self._binds is None or self._binds[0] is not engine:
            self._binds = (engine, *self._bind(engine))
        return ProvidedSession(self._binds[2 if read_only else 1], autoflush=autoflush, expire_on_commit=False)

    def _bind(self, engine: AsyncEngine) -> tuple[AsyncEngine, AsyncEngine]:
        install(engine)
        read_write = engine.execution_options(**self._options)
        read_only: dict[str, Any] = {READ_ONLY: True}
        if engine.dialect.name == "postgresql":
            read_only["postgresql_readonly"] = True
        return read_write, read_write.execution_options(**read_only)


@contextmanager
def flushing(session: AsyncSession, *, autoflush: bool) -> Iterator[None]:
    """`autoflush=False` holds for the block; True leaves the session as it is."""
    before = session.sync_session.autoflush
    session.sync_session.autoflush = before and autoflush
    try:
        yield
    finally:
        session.sync_session.autoflush = before
