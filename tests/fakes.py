"""A container over memory: the kit's fakes of this project's DAOs, and one that fails."""

from containers import Container
from domain import IdempotencyKey, Role, Token, User, UserStatus
from repositories import AuditDao, IdempotencyDao, TokenDao, UserDao
from settings import Settings
from unitwork.audit.entry import AuditEntry
from unitwork.testing.fakes import FakeSessionProvider, InMemoryDao

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/none"


class InMemoryUsers(InMemoryDao[User], UserDao):
    """Accounts. `UserDao` asks through builders, so its own methods work as they are, but the one that locks."""

    async def lock_active_admins(self) -> list[int]:
        admins = await self.query().eq("role", Role.ADMIN).eq("status", UserStatus.ACTIVE).order_by("id").all()
        return [user.id for user in admins if user.password_hash is not None] or [user.id for user in admins]


class InMemoryTokens(InMemoryDao[Token], TokenDao):
    """Tokens. `with_user` is a join, so it is asked in two steps here."""

    async def with_user(self, digest: str) -> tuple[Token, User] | None:
        token = await self.query(include_deleted=True).eq("digest", digest).one_or_none()
        if token is None:
            return None
        return token, await InMemoryUsers(self._session_provider).get(token.user_id, include_deleted=True)


class InMemoryAudit(InMemoryDao[AuditEntry], AuditDao):
    """Entries that a test has stored itself: no session here records any."""


class InMemoryIdempotency(InMemoryDao[IdempotencyKey], IdempotencyDao):
    """Answers to requests that named themselves."""


class FailingUsers(InMemoryUsers):
    """Every question about an account raises the same error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(FakeSessionProvider())
        self._error = error

    async def get_or_none(self, id: int, *, include_deleted: bool = False) -> User | None:
        raise self._error

    async def add(self, row: User) -> User:
        raise self._error


def over_fakes(sessions: FakeSessionProvider | None = None) -> tuple[Container, FakeSessionProvider]:
    """A container that needs no database, and could reach none; over the rows of `sessions` where some are given."""
    container = Container(settings=Settings(database={"url": UNREACHABLE}))
    sessions = sessions or FakeSessionProvider(container.id_generator())
    container.session_provider.override(sessions)
    container.user_dao.override(InMemoryUsers(sessions, cursors=container.cursors()))
    container.token_dao.override(InMemoryTokens(sessions, cursors=container.cursors()))
    container.idempotency_dao.override(InMemoryIdempotency(sessions, cursors=container.cursors()))
    container.audit_dao.override(InMemoryAudit(sessions, cursors=container.cursors()))
    return container, sessions
