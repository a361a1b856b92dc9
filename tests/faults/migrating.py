"""Migrating: a schema that changes again and again under clients who call every endpoint over HTTP."""

import asyncio
import itertools
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx2

from containers import Container, running
from domain import Role
from settings import Settings
from tests.flows.server import server_process, until_listening
from unitwork.models import SYSTEM, acting_as

PASSWORD: Final = "correct horse battery"
_COLUMNS: Final = """
SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
WHERE table_schema = 'public' AND data_type = 'character varying' AND character_maximum_length IS NOT NULL
AND table_name IN (SELECT tablename FROM pg_tables WHERE tablename <> 'alembic_version') GROUP BY 1"""
"""Views follow their tables, and Alembic's own table is held by the view of the schema's revision."""
CSV: Final = {"content-type": "text/csv"}


async def migrate(connection: asyncpg.Connection, until: float, *, pause: float) -> int:
    """Make every bounded text of every table longer, and the version of an account wider or narrower, each in a
    transaction of its own, until the monotonic clock says so. How often every table was changed.
    """
    tables = await connection.fetch(_COLUMNS)
    rounds = 0
    for length in itertools.count(600):
        for table, columns in tables:
            changes = [f"ALTER COLUMN {name} TYPE varchar({length})" for name in columns]
            if table == "users":
                changes.append(f"ALTER COLUMN version TYPE {'bigint' if length % 2 else 'integer'}")
            await connection.execute(f"ALTER TABLE {table} {', '.join(changes)}")
            await asyncio.sleep(pause)
        rounds += 1
        if time.monotonic() > until:
            break
    return rounds


@dataclass
class Traffic:
    """Clients of a server, one for each kind of work, each over accounts of its own."""

    client: httpx2.AsyncClient
    answers: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    """By what was asked, the status, and the problem's code."""
    stored: dict[str, str] = field(default_factory=dict)
    """The name that each account was last answered to have."""

    async def until(self, end: float) -> None:
        kinds = (self._reads, self._lists, self._changes, self._creates, self._csv, self._logins)
        tasks = [asyncio.create_task(self._work(kind, number, end)) for kind in kinds for number in range(2)]
        await asyncio.gather(*tasks)

    async def every_kind_once(self, name: str) -> None:
        """Each must be answered 2xx."""
        begun = self.answers.copy()
        for kind in (self._reads, self._lists, self._changes, self._creates, self._csv, self._logins):
            await kind(f"{name} {kind.__name__}")
        failed = {asked: times for asked, times in (self.answers - begun).items() if asked[1] >= 300}
        assert failed == {}

    async def _work(self, kind: Callable[[str], Awaitable[None]], number: int, end: float) -> None:
        for turn in itertools.count():
            await kind(f"{kind.__name__} {number} {turn}")
            if time.monotonic() > end:
                return

    async def _reads(self, _name: str) -> None:
        user = next(iter(self.stored))
        await self.ask("GET one", "GET", f"/v1/users/{user}")
        await self.ask("history", "GET", f"/v1/users/{user}/history")
        await self.ask("own", "GET", "/v1/users/me")

    async def _lists(self, _name: str) -> None:
        await self.ask("list", "GET", "/v1/users?limit=5&include_total=true&sort=-created_at")
        await self.ask("search", "GET", "/v1/users?limit=5&name=turn")

    async def _changes(self, name: str) -> None:
        user = await self._create(name)
        if user is None:
            return
        for turn in range(3):
            change = {"display_name": f"{name} turn {turn}"}
            changed = await self.ask("PATCH", "PATCH", f"/v1/users/{user}", json=change, headers={"if-match": "*"})
            if changed.is_success:
                self.stored[user] = change["display_name"]
                assert changed.json()["display_name"] == change["display_name"]
        await self.ask("DELETE", "DELETE", f"/v1/users/{user}", headers={"if-match": "*"})
        await self.ask("restore", "POST", f"/v1/users/{user}/restore", headers={"if-match": "*"})

    async def _creates(self, name: str) -> None:
        await self._create(name)

    async def _create(self, name: str) -> str | None:
        key = name.replace(" ", "-")
        body = {"email": f"{key}@example.com", "display_name": name}
        created = await self.ask("POST", "POST", "/v1/users", json=body, headers={"idempotency-key": f"key-{key}"})
        if not created.is_success:
            return None
        user = str(created.json()["id"])
        self.stored[user] = name
        return user

    async def _csv(self, name: str) -> None:
        lines = "".join(f"{name.replace(' ', '-')}x{row}@example.com,{name}\r\n" for row in range(20))
        file = f"email,display_name\r\n{lines}"
        done = await self.ask("import", "POST", "/v1/users/import", content=file.encode(), headers=CSV)
        if done.is_success:
            assert done.json()["imported"] == 20, done.text
        await self.ask("export", "GET", "/v1/users/export")

    async def _logins(self, name: str) -> None:
        key = name.replace(" ", "-")
        body = {"email": f"login-{key}@example.com", "password": PASSWORD, "display_name": name}
        await self.ask("register", "POST", "/v1/auth/register", json=body)
        login = {"login": "root@example.com", "password": PASSWORD}
        given = await self.ask("login", "POST", "/v1/auth/login", json=login)
        if given.is_success:
            refresh = {"refresh_token": given.json()["refresh_token"]}
            given = await self.ask("refresh", "POST", "/v1/auth/refresh", json=refresh)
        if given.is_success:
            await self.ask("logout", "POST", "/v1/auth/logout", json={"refresh_token": given.json()["refresh_token"]})

    async def ask(self, what: str, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request, counted. What can't be answered must say when to come again."""
        response = await self.client.request(method, path, **options)
        problem = response.headers.get("content-type") == "application/problem+json"
        self.answers[what, int(response.status_code), response.json()["code"] if problem else ""] += 1
        if response.status_code == 503:
            assert int(response.headers["retry-after"]) >= 1
        return response


@asynccontextmanager
async def served_to_an_admin(settings: Settings, folder: Path) -> AsyncIterator[Traffic]:
    """Clients of a process of its own over a new database, without limits to their number of calls."""
    url = settings.database.url.render_as_string(hide_password=False)
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        with acting_as(SYSTEM):
            users = container.user_service()
            root = await users.create({"email": "root@example.com", "role": Role.ADMIN}, password=PASSWORD)
            _, secret = await container.auth_service().issue(root.id)
    limits = {f"GATEHOUSE_RATE_LIMITS__{name.upper()}": "off" for name in settings.rate_limits.rates}
    with server_process(folder, DATABASE_URL=url, GATEHOUSE_VAR_DIR=str(folder), **limits) as server:
        await asyncio.to_thread(until_listening, server.address)
        token = {"authorization": f"Bearer {secret}"}
        async with httpx2.AsyncClient(base_url=server.address, headers=token, trust_env=False, timeout=30) as client:
            yield Traffic(client, stored={str(root.id): ""})
        server.told(signal.SIGINT, within=60)
    assert "unexpected error" not in server.err.read_text()


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(settings.database.url.set(drivername="postgresql").render_as_string())
    try:
        yield connection
    finally:
        await connection.close()


async def migrated_under_traffic(settings: Settings, folder: Path, *, seconds: float, pause: float) -> Traffic:
    """The clients' answers, all of them judged: none is a 500, and what was answered is there."""
    async with _connected(settings) as connection, served_to_an_admin(settings, folder) as traffic:
        await traffic.every_kind_once("before")
        end = time.monotonic() + seconds
        rounds, _ = await asyncio.gather(migrate(connection, end, pause=pause), traffic.until(end))
        await traffic.every_kind_once("after")
        answers = traffic.answers
        refused = {asked: times for asked, times in answers.items() if asked[1] >= 400}
        print(f"\n{rounds} migrations of every table in {seconds:g} s, {answers.total()} requests, refused: {refused}")
        names = dict(await connection.fetch("SELECT id::text, coalesce(display_name, '') FROM users"))
        wrong = {user: (name, names.get(user)) for user, name in traffic.stored.items() if names.get(user) != name}
        assert wrong == {}
        assert {asked for asked in refused if asked[1:] != (503, "try_again")} == set()
        assert rounds > 1
        return traffic
