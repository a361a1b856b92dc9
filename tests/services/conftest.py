"""A database to import into, besides the test's own, and an eye on argon2."""

from collections.abc import Iterator

import argon2
import pytest

from tests.services.hashing import Spied
from unitwork.testing.servers.databases import Databases


@pytest.fixture
def other_url(databases: Databases, backend: str) -> Iterator[str]:
    """A second migrated database, empty."""
    url = databases.create(backend)
    yield url
    databases.drop(url)


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Spied:
    """What argon2 did, and with which parameters."""
    spied: Spied = []
    verify, compute = argon2.PasswordHasher.verify, argon2.PasswordHasher.hash

    def spying_verify(self: argon2.PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:
        text = hash if isinstance(hash, str) else hash.decode()
        spied.append(("verify", text.rsplit("$", 2)[0]))
        return verify(self, hash, password)

    def spying_hash(self: argon2.PasswordHasher, password: str | bytes, *, salt: bytes | None = None) -> str:
        made = compute(self, password, salt=salt)
        spied.append(("hash", made.rsplit("$", 2)[0]))
        return made

    monkeypatch.setattr(argon2.PasswordHasher, "verify", spying_verify)
    monkeypatch.setattr(argon2.PasswordHasher, "hash", spying_hash)
    return spied
