"""Passwords: argon2id in threads, with parameters of the settings, the same work whether or not there is an account."""

import asyncio
import threading
import time

import argon2
import pytest

from containers import Container
from domain import UserStatus
from domain.errors import InvalidPassword, LoginRefused, WrongPassword
from services import Passwords
from settings import Settings, SettingsError
from tests.services.hashing import Spied, cheap
from unitwork import current_transaction
from unitwork.models import SYSTEM, acting_as
from unitwork.testing import assert_queries

PASSWORD = "correct horse battery"


async def test_a_password_is_right_or_it_is_not() -> None:
    passwords = cheap()
    stored = await passwords.hash(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert await passwords.verify(PASSWORD, stored) == (True, None)
    assert await passwords.verify(PASSWORD + " ", stored) == (False, None)
    assert await passwords.verify(PASSWORD, None) == (False, None)
    assert await passwords.hash(PASSWORD) != stored, "each has a salt of its own"


async def test_a_hash_with_other_parameters_is_renewed_when_the_password_is_right() -> None:
    stored = await cheap().hash(PASSWORD)
    stronger = cheap(time_cost=2, memory_cost=16)
    right, renewed = await stronger.verify(PASSWORD, stored)
    assert right
    assert renewed is not None
    assert renewed.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert await stronger.verify(PASSWORD, renewed) == (True, None)
    assert await stronger.verify("wrong password", stored) == (False, None)


@pytest.mark.parametrize("password", ["x" * 1025, "ü" * 513, "canary\ud800"])
async def test_what_is_too_long_or_no_text_is_never_hashed(hashing: Spied, password: str) -> None:
    passwords = cheap()
    with pytest.raises(InvalidPassword) as refused:
        await passwords.hash(password)
    with pytest.raises(InvalidPassword):
        await passwords.verify(password, None)
    assert hashing == []
    assert "canary" not in str(refused.value)


async def test_1024_bytes_are_a_password() -> None:
    passwords = cheap()
    stored = await passwords.hash("ü" * 512)
    assert (await passwords.verify("ü" * 512, stored)).right
    assert not (await passwords.verify("ü" * 511 + "xx", stored)).right


async def test_the_event_loop_goes_on_while_a_password_is_hashed() -> None:
    passwords = cheap(time_cost=8, memory_cost=65536)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(2)))
    ticking.cancel()
    assert ticks >= 5


async def test_so_many_are_hashed_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, running, most = threading.Lock(), 0, 0

    def slow(self: argon2.PasswordHasher, password: str | bytes, *, salt: bytes | None = None) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return "$argon2id$"

    monkeypatch.setattr(argon2.PasswordHasher, "hash", slow)
    passwords = cheap(threads=2)
    await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(8)))
    assert most == 2


async def test_a_login_takes_one_verify_with_the_same_parameters_whoever_asks(
    container: Container, hashing: Spied
) -> None:
    """Unknown, wrong, deleted, suspended, without password, and no address at all: one verify, like a right one."""
    users, auth = container.user_service(), container.auth_service()
    with acting_as(SYSTEM):
        for name in ("right", "wrong", "deleted", "suspended"):
            user = await users.create({"email": f"{name}@example.com"}, password=PASSWORD)
            if name == "deleted":
                await users.delete(user.id)
            if name == "suspended":
                await users.update(user.id, {"status": UserStatus.SUSPENDED})
        await users.create({"email": "passwordless@example.com"})
    hashing.clear()
    await auth.login("right@example.com", PASSWORD)
    expected = [("verify", "$argon2id$v=19$m=8,t=1,p=1")]
    assert hashing == expected
    for name in ("unknown@", "wrong@", "deleted@", "suspended@", "passwordless@", "+1415", "x"):
        hashing.clear()
        with pytest.raises(LoginRefused):
            await auth.login(f"{name}example.com", "wrong password" if name == "wrong@" else PASSWORD)
        assert hashing == expected, name


async def test_a_login_sends_the_same_statements_whoever_is_refused(container: Container) -> None:
    users, auth = container.user_service(), container.auth_service()
    with acting_as(SYSTEM):
        user = await users.create({"email": "deleted@example.com"}, password=PASSWORD)
        await users.delete(user.id)
        await users.create({"email": "wrong@example.com"}, password=PASSWORD)
    for name in ("unknown", "wrong", "deleted"):
        with assert_queries(container, exactly=2), pytest.raises(LoginRefused):  # the look, and the event
            await auth.login(f"{name}@example.com", "wrong password")


async def test_no_transaction_is_open_while_a_password_is_hashed(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_during: list[object] = []
    auth, users = container.auth_service(), container.user_service()
    verify, compute = Passwords.verify, Passwords.hash

    async def watched_verify(self: Passwords, password: str, stored: str | None) -> object:
        open_during.append(current_transaction())
        return await verify(self, password, stored)

    async def watched_hash(self: Passwords, password: str) -> str:
        open_during.append(current_transaction())
        return await compute(self, password)

    monkeypatch.setattr(Passwords, "verify", watched_verify)
    monkeypatch.setattr(Passwords, "hash", watched_hash)
    with acting_as(SYSTEM):
        user = await users.create({"email": "ada@example.com"}, password=PASSWORD)
        await auth.login("ada@example.com", PASSWORD)
        await auth.change_password(user.id, PASSWORD, "another password")
        await auth.set_password(user.id, PASSWORD)
    assert open_during == [None] * 6


async def test_a_login_stores_a_hash_of_todays_parameters(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com"}, password=PASSWORD)
    with container.passwords.override(cheap(time_cost=2)):
        await container.auth_service().login("ada@example.com", PASSWORD)
        stored = await container.user_dao().get(user.id)
        assert stored.password_hash is not None
        assert "t=2" in stored.password_hash
        version = stored.version
        await container.auth_service().login("ada@example.com", PASSWORD)
    assert (await container.user_dao().get(user.id)).version == version, "once is enough"


async def test_a_new_password_ends_every_login(container: Container) -> None:
    auth = container.auth_service()
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com"}, password=PASSWORD)
        for recovery in (False, True):
            await auth.issue(user.id)
            if recovery:
                await auth.set_password(user.id, PASSWORD)
            else:
                await auth.change_password(user.id, PASSWORD, "another password")
            tokens = await container.token_dao().query().eq("user_id", user.id).all()
            assert all(token.revoked_at is not None for token in tokens)
        await auth.login("ada@example.com", PASSWORD)
        with pytest.raises(LoginRefused):
            await auth.login("ada@example.com", "another password")


async def test_a_password_is_changed_by_who_knows_it(container: Container) -> None:
    auth = container.auth_service()
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com"}, password=PASSWORD)
        without = await container.user_service().create({"email": "alan@example.com"})
        _, secret = await auth.issue(user.id)
        for id_, current, new, error in (
            (user.id, "wrong password", "another password", WrongPassword),
            (user.id, "x" * 2000, "another password", WrongPassword),
            (without.id, PASSWORD, "another password", WrongPassword),
            (user.id, PASSWORD, "short", InvalidPassword),
        ):
            with pytest.raises(error) as refused:
                await auth.change_password(id_, current, new)
            assert refused.value.field == ("new" if error is InvalidPassword else "current")
    assert (await auth.authenticate(secret)).id == user.id
    assert (await auth.login("ada@example.com", PASSWORD)).access


def test_parameters_come_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEHOUSE_PASSWORDS__TIME_COST", "4")
    monkeypatch.setenv("GATEHOUSE_PASSWORDS__MEMORY_COST", "1024")
    assert "m=1024,t=4,p=4" in Container().passwords()._nobodys()
    monkeypatch.setenv("GATEHOUSE_PASSWORDS__MEMORY_COST", "16")
    with pytest.raises(SettingsError, match="8 KiB"):
        Settings()
