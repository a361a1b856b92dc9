"""Authority: whether who acts may still do what admins may, asked when it is done."""

from domain.errors import NotAllowed
from domain.token import Token, digest_of
from repositories.errors import UserNotFound
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao
from unitwork import current_transaction
from unitwork.models import SYSTEM, acting_user_id


class Authority:
    """Long work asks again and again: an admin who is demoted, suspended or deleted meanwhile, or whose login is ended,
    comes no further. The system itself always may.
    """

    def __init__(self, users: UserDao, tokens: TokenDao) -> None:
        self._users = users
        self._tokens = tokens

    async def token_of(self, secret: str) -> Token | None:
        """The token that a request was authenticated by; None where that was by something else."""
        found = await self._tokens.with_user(digest_of(secret)) if secret else None
        return None if found is None else found[0]

    async def check(self, token: Token | None = None) -> None:
        """Raise `NotAllowed` when the acting user may no longer, or `token`, by which it was authenticated, is revoked.

        In a transaction it holds the account's row, so that nobody demotes, deletes or revokes until that ends: what is
        committed with it was allowed.
        """
        user_id = acting_user_id()
        if user_id == SYSTEM:
            return
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
