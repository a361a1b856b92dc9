"""Admission over HTTP: a slow route leaves connections to the others, and a deadline bounds a request."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.api import create_app
from containers import Container, running
from domain import Role
from settings import Settings
from settings.passwords import PasswordSettings
from settings.rate_limits import RateLimitSettings
from tests.app.api.problem_document import assert_problem
from tests.patience import until
from unitwork import Lane, in_lane
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers.databases import Databases

SLEEPS = """
CREATE FUNCTION sleeps() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE UPDATE ON users FOR EACH ROW WHEN (NEW.display_name LIKE 'slow%') EXECUTE FUNCTION sleeps();
"""
CHEAP_PASSWORDS = PasswordSettings(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"


class Service:
    """A service whose PATCH of an account takes a second in the database if its new name begins with `slow`."""

    def __init__(self, app: FastAPI, client: httpx2.AsyncClient, ids: list[str]) -> None:
        self.app: Any = app
        self.container: Container = app.state.container
        self.client = client
        self.ids = ids

    async def slow(self, user: str, **headers: str) -> httpx2.Response:
        change = {"display_name": "slow"}
        return await self.client.patch(f"/v1/users/{user}", json=change, headers={"If-Match": '"1"', **headers})

    async def name(self, user: str) -> object:
        return (await self.client.get(f"/v1/users/{user}")).json()["display_name"]


@asynccontextmanager
async def serving(databases: Databases, **http: object) -> AsyncIterator[Service]:
    url = databases.create("postgresql")
    database = {"url": url, "pool_size": 4, "max_overflow": 2, "pool_timeout": 3.0}
    unlimited = RateLimitSettings.model_validate(dict.fromkeys(RateLimitSettings().rates, "off"))
    settings = Settings(database=database, http=http, passwords=CHEAP_PASSWORDS, rate_limits=unlimited)
    try:
        async with running(Container(settings=settings)) as container:
            async with container.engine().begin() as connection:
                for statement in SLEEPS.strip().split("\n"):
                    await connection.execute(text(statement))
            with acting_as(SYSTEM):
                users = container.user_service()
                admin = await users.create({"email": "root@example.com", "role": Role.ADMIN})
                quick = await users.create({"email": "quick@example.com"}, password=PASSWORD)
                made = [await users.create({"email": f"slow{number}@example.com"}) for number in range(20)]
                token = (await container.auth_service().issue(admin.id))[1]
            app = create_app(container)
            app.state.container = container
            transport = httpx2.ASGITransport(app=app)
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
                yield Service(app, client, [str(quick.id), *(str(user.id) for user in made)])
    finally:
        databases.drop(url)


async def test_a_slow_route_is_refused_in_time_and_the_others_are_served(databases: Databases) -> None:
    async with serving(databases, max_wait=0.3) as service:
        quick, *slow = service.ids
        tasks = [asyncio.create_task(service.slow(user)) for user in slow]
        await asyncio.sleep(0.1)
        for _ in range(5):
            begun = time.monotonic()
            assert (await service.client.get(f"/v1/users/{quick}")).status_code == 200
            login = {"login": "quick@example.com", "password": PASSWORD}
            assert (await service.client.post("/v1/auth/login", json=login)).status_code == 200
            assert (await service.client.get("/health/ready")).status_code == 200
            assert (await service.client.get("/v1/monitor")).status_code == 200
            assert time.monotonic() - begun < 2
        answers = await asyncio.gather(*tasks)
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses[200] >= 3, "its share of six"
        refused = [answer for answer in answers if answer.status_code == 503]
        assert len(refused) == len(answers) - statuses[200] > 0
        for answer in refused:
            assert_problem(answer, 503, "overloaded")
            assert answer.headers["Retry-After"] == "1"
        stored = [await service.name(user) == "slow" for user in slow]
        assert stored == [answer.status_code == 200 for answer in answers], "what was refused changed nothing"


async def test_without_a_wait_requests_wait_as_long_as_the_pool(databases: Databases) -> None:
    async with serving(databases, max_wait=None) as service:
        answers = await asyncio.gather(*(service.slow(user) for user in service.ids[1:7]))
        assert {answer.status_code for answer in answers} == {200}


async def test_a_deadline_reaches_the_statement(databases: Databases) -> None:
    async with serving(databases) as service:
        user = service.ids[1]
        begun = time.monotonic()
        answer = await service.slow(user, **{"X-Request-Timeout": "0.3"})
        assert time.monotonic() - begun < 0.9, "the statement sleeps for a second"
        assert_problem(answer, 504, "timeout")
        assert await service.name(user) is None
        assert (await service.slow(user, **{"X-Request-Timeout": "30"})).status_code == 200
        async with service.container.engine().connect() as connection:
            active = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'UPDATE%'"
            assert await connection.scalar(text(f"{active} AND state = 'active'")) == 0


async def test_the_services_own_limit_counts_and_a_client_may_ask_for_less(databases: Databases) -> None:
    async with serving(databases, request_timeout=0.3, grpc_timeout=True) as service:
        for headers in ({}, {"X-Request-Timeout": "30"}, {"grpc-timeout": "30S"}, {"grpc-timeout": "300m"}):
            answer = await service.slow(service.ids[1], **headers)
            # On a busy machine the cancelled statement's answer may come too late to tell what became of it.
            assert_problem(answer, 504, "timeout" if answer.json()["code"] == "timeout" else "outcome_unknown")
        answer = await service.client.get(f"/v1/users/{service.ids[1]}", headers={"X-Request-Timeout": "0.000000001"})
        assert_problem(answer, 504, "timeout")


@pytest.mark.parametrize("value", ["", "0", "-1", "abc", "1e3", "NaN", "inf", "٣", "86401", "1,5", "99999999999"])
async def test_a_limit_that_is_none_is_refused(client: httpx2.AsyncClient, value: str) -> None:
    answer = await client.get("/v1/users", headers=[(b"X-Request-Timeout", value.encode())])
    assert_problem(answer, 400, "malformed_header")
    assert "X-Request-Timeout" in answer.json()["detail"]


@pytest.mark.parametrize("value", ["1", "0m", "1x", "123456789S", "1.5S", "-1S"])
async def test_grpcs_limit_is_read_where_it_is_asked_for(
    client: httpx2.AsyncClient, container: Container, value: str
) -> None:
    assert (await client.get("/v1/users", headers={"grpc-timeout": value})).status_code == 200
    settings = container.settings()
    http = settings.http.model_copy(update={"grpc_timeout": True})
    with container.settings.override(settings.model_copy(update={"http": http})):
        assert_problem(await client.get("/v1/users", headers={"grpc-timeout": value}), 400, "malformed_header")


async def test_many_at_once_are_served(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.get("/v1/users?limit=1") for _ in range(100)))
    assert Counter(answer.status_code for answer in answers) == {200: 100}


async def test_nothing_is_begun_for_a_client_that_hung_up(databases: Databases) -> None:
    async with serving(databases, max_wait=3.0) as service:
        answers, gone, release = [], asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            with in_lane(Lane("PATCH /v1/users/{user_id}"), wait=3.0):
                async with service.container.transaction()(read_only=True) as tx:
                    await tx.session.execute(text("SELECT 1"))
                    await release.wait()

        holders = [asyncio.create_task(hold()) for _ in range(3)]
        await until(lambda: service.container.sql_monitor().pools.state().in_use == 3)
        body = b'{"display_name": "slow late"}'

        async def receive() -> dict[str, object]:
            if body_parts:
                return body_parts.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            answers.append(message)

        user = service.ids[4]
        body_parts: list[dict[str, object]] = [{"type": "http.request", "body": body, "more_body": False}]
        headers = {**service.client.headers, "if-match": '"1"', "content-type": "application/json"}
        scope = {
            "type": "http", "method": "PATCH", "path": f"/v1/users/{user}", "raw_path": f"/v1/users/{user}".encode(),
            "query_string": b"", "scheme": "http", "server": ("test", 80), "client": ("127.0.0.1", 1), "root_path": "",
            "http_version": "1.1", "asgi": {"version": "3.0"},
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        request = asyncio.create_task(service.app(scope, receive, send))
        await until(lambda: service.container.sql_monitor().pools.state().waiting == 1)
        gone.set()
        await asyncio.wait_for(request, 2.5)
        assert service.container.sql_monitor().pools.state().waiting == 0
        release.set()
        await asyncio.gather(*holders)
        assert await service.name(user) is None
        assert answers[0]["status"] == 400, "nobody hears it"
