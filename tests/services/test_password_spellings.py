"""Passwords: one however its characters are entered, older hashes included, at the same work for every refusal."""

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from containers import Container
from domain.errors import InvalidPassword, LoginRefused
from services.passwords import HASH_BYTES, SALT_BYTES
from tests.services.hashing import Spied, cheap
from unitwork.models import SYSTEM, acting_as

PASSWORD = "correct horse battery"
COMPOSED, DECOMPOSED = "Amélie-is-here-2026", "Ame\u0301lie-is-here-2026"


def older_hash(password: str) -> str:
    """As releases before made it: of the password as it was typed."""
    return PasswordHash((Argon2Hasher(1, 8, 1, HASH_BYTES, SALT_BYTES),)).hash(password.encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (COMPOSED, DECOMPOSED),
        ("pass word 2026", "pass\u00a0word\u30002026"),
        ("pass word 2026", "pass\u1680word\u20092026"),
        ("password 1234", "password １２３４"),
        ("official 2026", "oﬃcial 2026"),
        ("Å-password", "\u212b-password"),
    ],
)
async def test_one_password_is_one_however_its_characters_are_entered(one: str, other: str) -> None:
    passwords = cheap()
    for stored, typed in ((one, other), (other, one)):
        assert await passwords.verify(typed, await passwords.hash(stored)) == (True, None)


@pytest.mark.parametrize("other", ["amélie-is-here-2026", "Amelie-is-here-2026", f" {COMPOSED}", f"{COMPOSED}\u200b"])
async def test_another_password_stays_another(other: str) -> None:
    """Letter case, accents, surrounding blanks and invisible characters are part of a password."""
    passwords = cheap()
    assert await passwords.verify(other, await passwords.hash(COMPOSED)) == (False, None)


async def test_an_older_hash_is_right_as_it_was_typed_and_renewed_for_every_spelling() -> None:
    passwords = cheap()
    stored = older_hash(DECOMPOSED)
    assert not (await passwords.verify(COMPOSED, stored)).right, "that hash knows one spelling"
    right, renewed = await passwords.verify(DECOMPOSED, stored)
    assert right
    assert renewed is not None
    for typed in (COMPOSED, DECOMPOSED):
        assert await passwords.verify(typed, renewed) == (True, None)
    assert await passwords.verify(COMPOSED, older_hash(COMPOSED)) == (True, None), "which is the same hash today"


async def test_an_older_hash_is_renewed_when_its_owner_logs_in(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "amelie@example.com"})
        await container.user_dao().update().eq("id", user.id).set(password_hash=older_hash(DECOMPOSED)).execute()
    auth = container.auth_service()
    with pytest.raises(LoginRefused):
        await auth.login("amelie@example.com", COMPOSED)
    await auth.login("amelie@example.com", DECOMPOSED)
    await auth.login("amelie@example.com", COMPOSED)
    version = (await container.user_dao().get(user.id)).version
    await auth.login("amelie@example.com", DECOMPOSED)
    assert (await container.user_dao().get(user.id)).version == version, "once is enough"


async def test_a_password_that_normalising_changes_takes_the_same_work_whoever_is_refused(
    container: Container, hashing: Spied
) -> None:
    """Two verifies, for every account alike: how many there are tells of the password alone."""
    users, auth = container.user_service(), container.auth_service()
    with acting_as(SYSTEM):
        await users.create({"email": "wrong@example.com"}, password=PASSWORD)
        await users.create({"email": "passwordless@example.com"})
        deleted = await users.create({"email": "deleted@example.com"}, password=DECOMPOSED)
        await users.delete(deleted.id)
    for name in ("unknown", "wrong", "deleted", "passwordless"):
        for password, verifies in ((DECOMPOSED, 2), (COMPOSED, 1), ("plain password", 1)):
            hashing.clear()
            with pytest.raises(LoginRefused):
                await auth.login(f"{name}@example.com", password)
            assert hashing == [("verify", "$argon2id$v=19$m=8,t=1,p=1")] * verifies, (name, password)


async def test_a_password_is_bounded_before_and_after_it_is_normalised(hashing: Spied) -> None:
    passwords = cheap()
    ligatures = "\ufdfa" * 100  # 300 bytes, 3,300 once they are written out
    with pytest.raises(InvalidPassword, match="1024 bytes"):
        await passwords.hash(ligatures)
    assert hashing == []
    assert (await passwords.verify(ligatures, older_hash(ligatures))).right, "an older hash keeps working"
    hashing.clear()
    assert not (await passwords.verify(ligatures, None)).right
    assert [work for work, _ in hashing] == ["verify"]
    with pytest.raises(InvalidPassword, match="8 characters"):
        await passwords.hash("e\u0301" * 4)
