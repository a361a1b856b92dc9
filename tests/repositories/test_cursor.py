"""Cursors: only what we signed, for the list it was made for."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containers import Container
from repositories import UserDao
from tests.repositories.accounts import store_named
from unitwork.dao import Cursors
from unitwork.dao.cursor import MAX_LENGTH
from unitwork.errors import InvalidCursor

VALUES = st.lists(
    st.none()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.datetimes(timezones=st.just(UTC)),
    max_size=4,
)


def cursors(key: str = "k" * 32) -> Cursors:
    return Cursors(lambda: key)


@given(st.text(st.characters(exclude_categories=["Cs"])), VALUES)
def test_a_cursor_gives_back_what_it_was_made_of(order: str, values: list[object]) -> None:
    cursor = cursors().write(order, values)
    assert cursors().read(order, cursor) == values
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&? ")


def test_another_key_refuses_it() -> None:
    cursor = cursors().write("id", [1])
    with pytest.raises(InvalidCursor):
        cursors("x" * 32).read("id", cursor)
    assert Cursors().read("id", Cursors().write("id", [1])) == [1]


def test_another_order_refuses_it() -> None:
    cursor = cursors().write("id", [1])
    for order in ("-id", "", "id,id", "email"):
        with pytest.raises(InvalidCursor, match="Begin again without a cursor"):
            cursors().read(order, cursor)


def test_every_changed_byte_is_noticed() -> None:
    cursor = cursors().write("-created_at,-id", [datetime(2026, 1, 1, tzinfo=UTC), 7])
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(InvalidCursor):
            cursors().read("-created_at,-id", base64.urlsafe_b64encode(changed).decode().rstrip("="))
    for length in range(len(raw)):
        with pytest.raises(InvalidCursor):
            cursors().read("-created_at,-id", base64.urlsafe_b64encode(raw[:length]).decode().rstrip("="))


@pytest.mark.parametrize(
    "cursor", ["", "A", "!!!!", "ü", "\x00", "\ud800", "null", "=", "A" * (MAX_LENGTH + 1), "../x"]
)
def test_garbage_is_an_invalid_cursor(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        cursors().read("id", cursor)


@given(st.text())
def test_any_text_is_an_invalid_cursor(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        cursors().read("id", cursor)


async def test_a_cursor_of_another_list_or_order_or_key_is_refused(container: Container) -> None:
    await store_named(container, "a", "b", "c")
    dao = container.user_dao()
    cursor = (await dao.query().order_by("display_name").after(None, 1)).next_cursor
    assert (await dao.query().order_by("display_name").after(cursor, 1)).items
    stranger = UserDao(container.session_provider(), cursors=cursors())
    for query in (
        dao.query().order_by("-display_name"),
        dao.query().order_by("display_name", "-id"),
        dao.query(),
        stranger.query().order_by("display_name"),
    ):
        with pytest.raises(InvalidCursor):
            await query.after(cursor, 1)
    by_id = (await dao.query().order_by("created_at").after(None, 1)).next_cursor
    with pytest.raises(InvalidCursor):
        await container.token_dao().query().order_by("created_at").after(by_id, 1)


async def test_daos_of_one_container_read_each_others_cursors(container: Container) -> None:
    await store_named(container, "a", "b")
    cursor = (await container.user_dao().query().after(None, 1)).next_cursor
    assert [row.display_name for row in (await container.user_dao().query().after(cursor, 1)).items] == ["b"]
