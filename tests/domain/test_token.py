"""Token: only its digest is kept."""

import hashlib
from datetime import timedelta

from sqlalchemy import text

from containers import Container
from domain import Token
from domain.token import MAX_LENGTH, TokenKind, digest_of
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now

PREFIX = TokenKind.ACCESS.prefix


def test_a_secret_is_long_random_and_recognisable() -> None:
    secrets = [Token.issue(1, lifetime=timedelta(hours=1))[1] for _ in range(100)]
    assert len(set(secrets)) == 100
    assert all(
        secret.startswith(PREFIX) and len(secret) - len(PREFIX) >= 43 and len(secret) <= MAX_LENGTH
        for secret in secrets
    )


def test_a_digest_is_the_sha256_of_the_secret_even_of_no_text() -> None:
    assert digest_of("gh_x") == hashlib.sha256(b"gh_x").hexdigest()
    assert len(digest_of("\ud800")) == 64


def test_the_model_holds_the_digest_and_not_the_secret() -> None:
    token, secret = Token.issue(1, lifetime=timedelta(hours=1))
    assert token.digest == digest_of(secret)
    assert secret not in str(vars(token)) + repr(token)


def test_a_token_counts_until_it_expires_is_revoked_or_deleted() -> None:
    token, _ = Token.issue(1, lifetime=timedelta(hours=1))
    now = utc_now()
    assert token.live(now)
    assert token.live(token.expires_at - timedelta(microseconds=1))
    assert not token.live(token.expires_at)
    token.deleted_at = now
    assert not token.live(now)
    token.deleted_at, token.revoked_at = None, now
    assert not token.live(now)


async def test_the_database_never_sees_the_secret(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ann@example.com"})
        _, secret = await container.auth_service().issue(user.id)
    async with container.engine().connect() as connection:
        rows = (await connection.execute(text("SELECT * FROM tokens"))).mappings().all()
    assert [row["digest"] for row in rows] == [digest_of(secret)]
    assert secret not in str(rows)
    assert secret.removeprefix(PREFIX) not in str(rows)
