"""Migration 0006: keys computed anew, both ways; what another account has is left, told, and can be listed."""

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import pytest
from sqlalchemy import Column, MetaData, Table

from containers import Container, running
from domain import Role, User, UserStatus
from domain.email_address import email_key
from settings import Settings
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now
from unitwork.testing.servers import mariadb_server
from unitwork.testing.servers.databases import Databases

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


OLDER: Final = Table("users", MetaData(), *(Column(c.name, c.type) for c in User.__table__.c if c.name != "name_key"))
"""The accounts before the migration, and before the one that follows it."""


async def store(container: Container, *addresses: tuple[str, str], **others: Mapping[str, Any]) -> list[int]:
    """Accounts with these addresses and keys, as an older release left them; `others` have no address."""
    made = {"role": Role.USER, "status": UserStatus.ACTIVE, "created_by": 0, "updated_by": 0}
    stamps = {"created_at": utc_now(), "updated_at": utc_now()}
    contacts = [{"email": email, "email_key": key, "phone": None} for email, key in addresses]
    contacts += [{"email": None, "email_key": None, **contact} for contact in others.values()]
    rows = [{"id": number + 1, "version": 1, **contact, **made, **stamps} for number, contact in enumerate(contacts)]
    async with container.transaction()() as tx:
        for start in range(0, len(rows), 500):
            await tx.session.execute(OLDER.insert(), rows[start : start + 500])
    return [number + 1 for number in range(len(rows))]


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
    *_, phone = await store(old, *before, phone={"phone": "+14155550132"})
    async with old.transaction()() as tx:
        await tx.session.execute(OLDER.update().where(OLDER.c.id == 2).values(deleted_at=utc_now(), version=2))
    await old.schema().upgrade()
    after = [email_key(email) for email, _ in before]
    assert after[1:4] == ["i@xn--mnchen-3ya.example", "info@xn--fa-hia.example", "d@example.com"]
    assert await keys(old) == [*after, None]
    versions = await old.user_dao().query(include_deleted=True).order_by("id").scalars("version")
    assert versions == [1, 2, 1, 1, 1, 1, 1], "no ETag changes"
    assert (await old.user_dao().get(phone)).phone == "+14155550132"
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
