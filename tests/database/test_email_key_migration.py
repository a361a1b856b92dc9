"""Migration 0006: keys computed anew, both ways; what another account has is left, told, and can be listed."""

import logging
from collections.abc import AsyncIterator

import pytest

from containers import Container, running
from database.testing import mariadb_server
from database.testing.databases import Databases
from domain import SYSTEM, User, acting_as
from domain.email_address import email_key
from settings import Settings

MARIADB = pytest.param(
    "mariadb",
    marks=pytest.mark.skipif(not mariadb_server.named(), reason=f"{mariadb_server.MARIADB_URL} is unset"),
)
pytestmark = pytest.mark.parametrize("backend", ["sqlite", "postgresql", MARIADB], indirect=True)


@pytest.fixture
async def old(databases: Databases, backend: str) -> AsyncIterator[Container]:
    """A database before the migration."""
    url = databases.create(backend)
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        await container.schema().downgrade("0005")
        yield container
    databases.drop(url)


async def store(container: Container, *addresses: tuple[str, str]) -> list[int]:
    """Accounts with these addresses and keys, as an older release left them."""
    with acting_as(SYSTEM):
        users = await container.user_dao().add_many([User(email=email, email_key=key) for email, key in addresses])
    return [user.id for user in users]


async def keys(container: Container) -> list[str | None]:
    return await container.user_dao().query(include_deleted=True).order_by("id").scalars("email_key")


async def test_keys_are_computed_anew_and_back(old: Container) -> None:
    before = [
        ("ann@example.com", "ann@example.com"),
        ("I@münchen.example", "i@münchen.example"),
        ("info@faß.example", "info@fass.example"),
        ("d@example\u3002com", "d@example\u3002com"),
        ("Ünal@example.com", "ünal@example.com"),
        ("e\ufe0f@example.com", "e\ufe0f@example.com"),
    ]
    ids = await store(old, *before)
    with acting_as(SYSTEM):
        await old.user_dao().soft_delete(ids[1])
        phone = await old.user_dao().add(User(phone="+14155550132"))
    await old.schema().upgrade()
    after = [email_key(email) for email, _ in before]
    assert after[1:4] == ["i@xn--mnchen-3ya.example", "info@xn--fa-hia.example", "d@example.com"]
    assert await keys(old) == [*after, None]
    versions = await old.user_dao().query(include_deleted=True).order_by("id").scalars("version")
    assert versions == [1, 2, 1, 1, 1, 1, 1], "no ETag changes"
    assert (await old.user_dao().get(phone.id)).phone == "+14155550132"
    await old.schema().downgrade("0005")
    assert await keys(old) == [*(key for _, key in before), None]
    await old.schema().upgrade()
    assert await keys(old) == [*after, None]


async def test_a_key_that_another_account_has_is_left_told_and_listed(
    old: Container, caplog: pytest.LogCaptureFixture
) -> None:
    one, other, third, free = await store(
        old,
        ("i@xn--mnchen-3ya.example", "i@xn--mnchen-3ya.example"),
        ("i@münchen.example", "i@münchen.example"),
        ("i@mu\u0308nchen\u3002example", "i@münchen\u3002example"),
        ("i@köln.example", "i@köln.example"),
    )
    with caplog.at_level(logging.INFO, "gatehouse.migrations"):
        await old.schema().upgrade()
    assert await keys(old) == [
        "i@xn--mnchen-3ya.example", "i@münchen.example", "i@münchen\u3002example", "i@xn--kln-sna.example",
    ]  # fmt: skip
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 2
    assert all(f"account {one} has the one it should have" in line for line in told)
    assert [f"account {user} is left" in line for user, line in zip((other, third), told, strict=True)] == [True] * 2
    assert "nchen" not in caplog.text, "a log holds no address"

    async def left(*, mend: bool = False) -> list[tuple[int, str]]:
        pages = old.contact_check().pages(mend=mend)
        return [(fault.user_id, fault.field) async for page in pages for fault in page.faults]

    with acting_as(SYSTEM):
        assert await left() == await left(mend=True) == [(other, "email_key"), (third, "email_key")]
        await old.user_service().purge(one)
        assert await left(mend=True) == [(third, "email_key")], "one of the two can have it"
        await old.user_service().purge(third)
        assert await left() == []
    assert await keys(old) == ["i@xn--mnchen-3ya.example", "i@xn--kln-sna.example"]
    assert free


async def test_a_key_that_becomes_free_is_taken(old: Container) -> None:
    """The first account needs the key that the second one has until it is computed anew itself."""
    await store(old, ("info@fass\u3002example", "info@fass\u3002example"), ("info@faß.example", "info@fass.example"))
    await old.schema().upgrade()
    assert await keys(old) == ["info@fass.example", "info@xn--fa-hia.example"]


async def test_more_accounts_than_a_batch_holds_are_all_seen(old: Container, caplog: pytest.LogCaptureFixture) -> None:
    count = 2_050
    await store(old, *((f"u{n}@münchen.example", f"u{n}@münchen.example") for n in range(count)))
    with caplog.at_level(logging.INFO, "gatehouse.migrations"):
        await old.schema().upgrade()
    assert await keys(old) == [f"u{n}@xn--mnchen-3ya.example" for n in range(count)]
    assert f"computed anew: {count}" in caplog.text
