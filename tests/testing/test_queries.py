"""assert_queries counts what the caller caused, and names the lines."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from containers import Container
from domain import User
from tests.testing.tables import create_tables, write
from unitwork import Propagation
from unitwork.models import SYSTEM, acting_as
from unitwork.testing import assert_queries as asserting


@pytest.fixture(params=["isolated", "own"])
def database_mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_units_savepoints_and_lone_statements_count_alike_in_both_modes(
    container: Container, assert_queries: Any
) -> None:
    transaction, dao = container.transaction(), container.user_dao()
    with acting_as(SYSTEM):
        with assert_queries(exactly=2):
            user = await dao.add(User(email="a@b.c", email_key="a@b.c"))
        with assert_queries(exactly=1):
            await dao.get(user.id)
        with assert_queries(exactly=5) as queries:
            async with transaction() as tx:
                await tx.session.scalars(select(User))
                async with transaction(Propagation.NESTED):
                    await tx.session.scalars(select(User))
                (await dao.get(user.id)).display_name = "Ann"
        assert [query.statement.split()[0] for query in queries] == ["SELECT", "SELECT", "SELECT", "UPDATE", "INSERT"]
        with assert_queries(max=2):
            async with transaction(read_only=True) as tx:
                await tx.session.scalars(select(User))
        with assert_queries(exactly=0):
            async with transaction():
                pass


async def test_the_failure_lists_each_statement_with_its_line_and_no_value(
    container: Container, assert_queries: Any
) -> None:
    await create_tables(container)
    with pytest.raises(AssertionError) as raised, acting_as(SYSTEM), assert_queries(max=1):
        async with container.transaction()() as tx:
            await write(tx.session, "canary")
            await tx.session.scalars(select(User.id))
            tx.session.add(User(email="canary@b.c", email_key="canary@b.c"))
    told = str(raised.value)
    assert told.startswith("4 statements were sent, at most 1 expected:\n  1. INSERT INTO notes (text) VALUES (")
    assert "canary" not in told
    places = re.findall(r"\n     \S+/(\w+\.py):(\d+)", told)
    block = test_the_failure_lists_each_statement_with_its_line_and_no_value.__code__.co_firstlineno + 5
    assert [file for file, _ in places] == ["tables.py", "test_queries.py", "test_queries.py", "test_queries.py"]
    assert [int(line) for _, line in places[1:]] == [block + 2, block, block], (
        "what the end of a block flushed is the block's"
    )


async def test_the_line_is_the_services_where_a_service_asked(container: Container, assert_queries: Any) -> None:
    told = r"2 statements were sent, exactly 3 expected:[\s\S]*services/user_service.py:\d+"
    with pytest.raises(AssertionError, match=told), acting_as(SYSTEM), assert_queries(exactly=3):
        await container.user_service().create({"email": "a@b.c"})


async def test_it_takes_a_container_or_an_engine(container: Container) -> None:
    for target in (container, container.engine()):
        with asserting(target, max=1), asserting(target, exactly=1):
            await container.user_dao().count().rows()


async def test_what_the_block_raises_is_not_hidden(container: Container, assert_queries: Any) -> None:
    with pytest.raises(KeyError), assert_queries(exactly=1):
        raise KeyError
    with assert_queries(max=0):
        pass


async def test_it_is_told_how_many(assert_queries: Any) -> None:
    for wrong in ({}, {"max": 1, "exactly": 1}):
        with pytest.raises(TypeError, match="one of max= and exactly="), assert_queries(**wrong):
            pass
