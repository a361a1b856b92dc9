"""AuthService: whose a token is, and until when."""

from datetime import timedelta

import pytest

from containers import Container
from domain import User, UserStatus
from domain.errors import NotAuthenticated
from domain.token import digest_of
from repositories.errors import UserNotFound
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now


async def someone(container: Container) -> User:
    with acting_as(SYSTEM):
        return await container.user_service().create({"email": "ada@example.com"})


async def test_a_token_is_its_users_until_it_is_revoked(container: Container) -> None:
    user, service = await someone(container), container.auth_service()
    with acting_as(SYSTEM):
        token, secret = await service.issue(user.id)
        _, other = await service.issue(user.id)
        assert (await service.authenticate(secret)).id == user.id
        assert await service.revoke(secret) is True
        assert await service.revoke(secret) is False
        assert await service.revoke("gh_unknown") is False
    with pytest.raises(NotAuthenticated):
        await service.authenticate(secret)
    assert (await service.authenticate(other)).id == user.id, "the other one still counts"
    stored = await container.token_dao().get(token.id)
    assert (stored.digest, stored.revoked_at is not None) == (digest_of(secret), True)


async def test_a_secret_has_256_bits_and_is_never_the_same(container: Container) -> None:
    user = await someone(container)
    with acting_as(SYSTEM):
        secrets = {(await container.auth_service().issue(user.id))[1] for _ in range(20)}
    assert len(secrets) == 20
    assert all(secret.startswith("gh_") and len(secret) >= 3 + 43 for secret in secrets)


async def test_a_lifetime_is_the_one_that_is_said_even_none_at_all(container: Container) -> None:
    user = await someone(container)
    with acting_as(SYSTEM):
        for lifetime in (timedelta(0), timedelta(seconds=-5)):
            token, secret = await container.auth_service().issue(user.id, lifetime=lifetime)
            assert token.expires_at <= utc_now()
            with pytest.raises(NotAuthenticated):
                await container.auth_service().authenticate(secret)
        token, _ = await container.auth_service().issue(user.id)
    left = token.expires_at - utc_now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)


async def test_a_token_needs_an_account_that_is_there(container: Container) -> None:
    user = await someone(container)
    with acting_as(SYSTEM):
        await container.user_service().delete(user.id)
        for id_ in (user.id, 1):
            with pytest.raises(UserNotFound):
                await container.auth_service().issue(id_)
    assert await container.token_dao().count().rows() == 0


async def test_a_suspended_or_deleted_account_is_not_authenticated(container: Container) -> None:
    user, service = await someone(container), container.auth_service()
    with acting_as(SYSTEM):
        _, secret = await service.issue(user.id)
        await container.user_service().update(user.id, {"status": UserStatus.SUSPENDED})
        with pytest.raises(NotAuthenticated):
            await service.authenticate(secret)
        await container.user_service().update(user.id, {"status": UserStatus.ACTIVE})
        _, secret = await service.issue(user.id)
        assert await service.authenticate(secret)
        await container.user_service().delete(user.id)
        with pytest.raises(NotAuthenticated):
            await service.authenticate(secret)


async def test_what_is_no_token_is_not_looked_up(container: Container) -> None:
    for secret in ("", "gh", "Bearer gh_x", "gh_" + "x" * 126, "gh_\ud800", "gh_\0"):
        with pytest.raises(NotAuthenticated):
            await container.auth_service().authenticate(secret)
