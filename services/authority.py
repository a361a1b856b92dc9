"""Authority: re-checks the rights of an acting admin at the moment of the work."""

from domain.errors import NotAllowed
from domain.token import Token, digest_of
from repositories.errors import UserNotFound
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao
from unitwork import current_transaction, reads_from_primary
from unitwork.models import SYSTEM, acting_user_id


class Authority:
    """Check of an admin's rights, repeated by long-running work: it stops once the admin is demoted, suspended or
    deleted, or the login is revoked. SYSTEM always passes.
    """

    def __init__(self, users: UserDao, tokens: TokenDao) -> None:
        self._users = users
        self._tokens = tokens

    async def token_of(self, secret: str) -> Token | None:
        """Return the token with this secret, by which a request was authenticated; None if there is none."""
        with reads_from_primary():
            found = await self._tokens.with_user(digest_of(secret)) if secret else None
        return None if found is None else found[0]

    async def check(self, token: Token | None = None) -> None:
        """Raise `NotAllowed` unless the acting user is an active admin, and `token`, if given, is not revoked.

        In a transaction it locks the account's row until the end, so that the rights can't be withdrawn before the
        commit.
        """
        user_id = acting_user_id()
        if user_id == SYSTEM:
            return
        with reads_from_primary():
            await self._check(user_id, token)

    async def _check(self, user_id: int, token: Token | None) -> None:
        get = self._users.get if current_transaction() is None else self._users.get_locked
        try:
            user = await get(user_id)
        except UserNotFound:
            raise NotAllowed from None
        if not (user.active and user.admin):
            raise NotAllowed
        if token is None:
            return
        stored = await self._tokens.get_or_none(token.id)
        if stored is None or stored.revoked_at is not None:
            raise NotAllowed
