"""What a broken constraint tells: which one, over which columns, and never a value."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sql

from containers import Container
from domain import Token
from tests.repositories.accounts import account, store
from unitwork.errors import (
    CheckViolation,
    ConstraintViolation,
    DriverError,
    ForeignKeyViolation,
    NotFound,
    NotNullViolation,
    NullComparison,
    TooManyRows,
    UnconditionalUpdate,
    UniqueViolation,
    UnknownColumn,
)
from unitwork.models import SYSTEM, acting_as

CANARY = "canary-7Q"
EMAIL = f"{CANARY}@example.com"


def everything(error: BaseException) -> str:
    """All that a log prints of an error and of those behind it; not the lines of this file in a traceback."""
    texts, links, seen = [], [error], set[int]()
    while links:
        link = links.pop()
        if id(link) not in seen:
            seen.add(id(link))
            texts += [str(link), repr(link), repr(link.args), *map(str, getattr(link, "__notes__", ()))]
            texts += [repr(getattr(link, name, None)) for name in ("detail", "hint", "params", "orig")]
            links += [behind for behind in (link.__cause__, link.__context__) if behind is not None]
    frames = traceback.TracebackException.from_exception(error)
    return "\n".join([*texts, *(line for line in frames.format() if __file__ not in line)])


async def broken(container: Container, case: str) -> ConstraintViolation:
    users, tokens = container.user_dao(), container.token_dao()
    (row,) = await store(container, [account(EMAIL, phone="+14155550132")])
    token, _ = Token.issue(row.id, lifetime=timedelta(hours=1))
    calls: dict[str, Any] = {
        "email": lambda: users.add(account(EMAIL)),
        "phone": lambda: users.add(account(f"other-{EMAIL}", phone="+14155550132")),
        "contact": lambda: users.update().eq("id", row.id).set(email=None, email_key=None, phone=None).execute(),
        "email key": lambda: users.update().eq("id", row.id).set(email_key=None).execute(),
        "author": lambda: users.update().eq("id", row.id).set(created_by=None).execute(),
        "missing user": lambda: tokens.add(Token(user_id=1, digest=CANARY, expires_at=token.expires_at)),
    }
    with acting_as(SYSTEM), pytest.raises(ConstraintViolation) as raised:
        await calls[case]()
    return raised.value


@pytest.mark.parametrize(
    ("case", "kind", "constraint", "columns"),
    [
        ("email", UniqueViolation, "uq_users_email_key", ("email_key",)),
        ("phone", UniqueViolation, "uq_users_phone", ("phone",)),
        ("contact", CheckViolation, "ck_users_contact", ()),
        ("email key", CheckViolation, "ck_users_email_key", ()),
        ("author", NotNullViolation, None, ("created_by",)),
        ("missing user", ForeignKeyViolation, "fk_tokens_user_id", ("user_id",)),
    ],
)
async def test_a_violation_names_its_constraint_and_columns_and_no_value(
    container: Container,
    backend: str,
    case: str,
    kind: type[ConstraintViolation],
    constraint: str,
    columns: tuple[str, ...],
) -> None:
    error = await broken(container, case)
    assert type(error) is kind
    if backend != "sqlite":
        assert (error.constraint, error.columns) == (constraint, columns)
    elif kind is CheckViolation:
        assert error.columns == (constraint,) or error.constraint == constraint
    elif kind is ForeignKeyViolation:
        assert (error.constraint, error.columns) == (None, ())  # SQLite tells neither
    else:
        assert (error.constraint, error.columns) == (None, columns)
    assert CANARY not in everything(error)
    assert "+14155550132" not in everything(error)
    assert container.schema().connections_in_use == 0


async def test_no_other_error_of_the_driver_shows_a_value(container: Container, backend: str) -> None:
    users = container.user_dao()
    (row,) = await store(container, [account(EMAIL)])
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: users.add(account(f"long-{EMAIL}", display_name=CANARY * 99)),
        lambda: users.add(account(f"nul-{EMAIL}", display_name=f"{CANARY}\x00")),
        lambda: users.update().eq("id", row.id).set(created_by=CANARY).execute(),
        lambda: users.query().where(sql.func.nonsense(CANARY) == 1).all(),
        lambda: users.query().where(sql.cast(sql.literal(CANARY), sql.Integer) == 1).all(),
    ]
    outcomes: list[object] = []
    with acting_as(SYSTEM):
        for call in calls:
            outcomes += await asyncio.gather(call(), return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    # SQLite stores anything anywhere; MariaDB knows NUL, and casts what is no number to 0 when it reads
    assert len(errors) == {"postgresql": 5, "mariadb": 3, "sqlite": 1}[backend]
    assert {isinstance(error, DriverError) for error in errors} == {True}
    assert not [error for error in errors if CANARY in everything(error)]


def test_refusals_of_the_builders_name_the_fact_and_the_fix() -> None:
    assert str(NotFound("user", 7)) == "there is no user with id 7"
    assert "Did you mean 'email'?" in str(UnknownColumn("User", "emial", ["email", "phone"]))
    assert "is_not_null('email')" in str(NullComparison("email", "eq"))
    assert ".all_rows()" in str(UnconditionalUpdate("User"))
    assert "first()" in str(TooManyRows("User"))
