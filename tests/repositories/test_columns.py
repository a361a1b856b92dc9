"""Columns by name or attribute: what isn't there is an error, never a dropped condition."""

from collections.abc import Callable
from typing import Any

import pytest

from containers import Container
from domain import Token, User
from tests.repositories.accounts import store_named
from unitwork.dao import BaseDao
from unitwork.errors import UnknownColumn
from unitwork.models import SYSTEM, acting_as
from unitwork.rows.columns import column

Dao = BaseDao[User]


def test_an_unknown_column_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(UnknownColumn, match=r"^User has no column 'emial'\. Did you mean 'email'\?$") as raised:
        column(User, "emial")
    assert (raised.value.model, raised.value.column) == ("User", "emial")
    with pytest.raises(UnknownColumn, match="It has: created_at, created_by, "):
        column(User, "zzzzzz")


@pytest.mark.parametrize("name", ["", "__table__", "metadata", "admin", "create", "deleted", "-email", "email; --"])
def test_only_mapped_columns_are_columns(name: str) -> None:
    with pytest.raises(UnknownColumn):
        column(User, name)


def test_an_attribute_is_a_column_of_its_own_model_only() -> None:
    assert column(User, User.email) is column(User, "email")
    with pytest.raises(UnknownColumn, match=r"User has no column 'Token\.id'"):
        column(User, Token.id)


@pytest.mark.parametrize(
    "misspelt",
    [
        lambda dao: dao.query().filter_by(emial="x"),
        lambda dao: dao.query().eq("emial", "x"),
        lambda dao: dao.query().ne("emial", "x"),
        lambda dao: dao.query().between("emial", "x", "y"),
        lambda dao: dao.query().in_("emial", []),
        lambda dao: dao.query().not_in("emial", []),
        lambda dao: dao.query().like("emial", "x"),
        lambda dao: dao.query().is_null("emial"),
        lambda dao: dao.query().is_not_null("emial"),
        lambda dao: dao.query().order_by("-emial"),
        lambda dao: dao.count().filter_by(emial="x"),
        lambda dao: dao.update().filter_by(emial="x"),
        lambda dao: dao.update().set(emial="x"),
        lambda dao: dao.update().increment("emial"),
    ],
)
def test_a_misspelt_name_is_refused_by_every_word_of_every_builder(misspelt: Callable[[Any], object]) -> None:
    """Traps 5 and 7: a misspelt filter vanished, and an update changed every row."""
    with pytest.raises(UnknownColumn, match=r"Did you mean 'email'\?"):
        misspelt(Dao(lambda **_: pytest.fail("no session is asked for"), User))


async def test_a_misspelt_filter_changes_no_row(container: Container) -> None:
    await store_named(container, "Ann", "Bob")
    dao = container.user_dao()
    with acting_as(SYSTEM), pytest.raises(UnknownColumn):
        await dao.update().filter_by(display_nam="Ann").set(display_name="changed").execute()
    for ask in (dao.query().scalars, dao.count().column, dao.count().distinct):
        with pytest.raises(UnknownColumn, match="display_name"):
            await ask("display_nam")
    assert await dao.query().order_by("id").scalars("display_name") == ["Ann", "Bob"]


def test_a_misspelt_value_of_a_new_row_is_refused() -> None:
    with pytest.raises(TypeError, match="emial"):
        User(emial="x")
