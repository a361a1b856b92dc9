"""TokenDao: by digest, with its account."""

import asyncio
from datetime import timedelta

from containers import Container
from domain import Token
from domain.token import digest_of
from tests.repositories.accounts import account, store
from unitwork.dao import BaseDao
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now


async def test_a_token_is_found_with_its_account_whatever_their_state(container: Container) -> None:
    (row,) = await store(container, [account()])
    token, secret = Token.issue(row.id, lifetime=timedelta(seconds=-1))
    dao = container.token_dao()
    with acting_as(SYSTEM):
        await dao.add(token)
        await container.user_dao().soft_delete(row.id)
    found = await dao.with_user(digest_of(secret))
    assert found is not None
    assert (found[0].id, found[1].id, found[1].deleted) == (token.id, row.id, True)
    assert await dao.with_user(secret) is None
    assert await dao.with_user("") is None


async def test_a_token_is_revoked_once(container: Container) -> None:
    (row,) = await store(container, [account()])
    token, secret = Token.issue(row.id, lifetime=timedelta(hours=1))
    now = utc_now()
    with acting_as(SYSTEM):
        await container.token_dao().add(token)
        outcomes = await asyncio.gather(*(container.token_dao().revoke(token.digest, at=now) for _ in range(4)))
        assert sorted(outcomes) == [False, False, False, True]
        assert await container.token_dao().revoke(secret, at=now) is False
    found = await BaseDao(container.session_provider(), Token).get(token.id)
    assert (found.revoked_at, found.version) == (now, 2)
