"""Canaries: words planted as passwords, tokens, keys and values, and looked for in everything that is said at DEBUG."""

import asyncio
import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
from sqlalchemy import make_url

from containers import Container, running
from domain import Role
from domain.token import digest_of
from settings import Settings
from tests.flows.server import environment, server_process, until_listening
from unitwork.models import SYSTEM, acting_as

DSN: Final = "canary-dsn-3f1a"
KEY: Final = "canary-key-" + "5c" * 16
PASSWORD: Final = "canary-password-8d2e"
WRONG: Final = "canary-wrong-password-71bb"
NEXT: Final = "canary-next-password-0c4d"
SHORT: Final = "cnry-7d"
MADE_UP: Final = "gh_canary-token-b04c" + "x" * 30
SECRETS: Final = (DSN, KEY, PASSWORD, WRONG, NEXT, SHORT, MADE_UP, "canary-token", "$argon2id$")
"""Nowhere at all."""

NAME: Final = "canary-name-e5d7"
LOCAL: Final = "canary-local-92aa"
CELL: Final = "canary-cell-c6f0"
IDEMPOTENCY: Final = "canary-idempotency-1e88"
REQUEST_ID: Final = "canary request id"
SOUGHT: Final = "canary-sought-4b9c"
VALUES: Final = (NAME, LOCAL, CELL, IDEMPOTENCY, REQUEST_ID, SOUGHT)
"""In answers to whom they belong, and in no log, problem or page."""
ROWS: Final = f"email,display_name\n{CELL}-%s@example.com,{CELL}\n{CELL},{CELL} has no address\n"


class Said(NamedTuple):
    """Something that came out, and which canaries may be in it."""

    where: str
    words: str
    own: bool = False
    """The answer to whom the values belong."""


class Asked:
    """Requests to one server, with all that they were answered."""

    def __init__(self, address: str, admin: str) -> None:
        self.said: list[Said] = []
        self.statuses: set[int] = set()
        self.tokens = {admin}
        self._admin = admin
        self._client = httpx2.Client(base_url=address, timeout=30)

    def __call__(
        self, method: str, path: str, *, token: str | None = None, own: bool = False, hands: bool = False, **sent: Any
    ) -> Any:
        """Sends it, as the admin where no token is given. `hands` is for what hands out tokens."""
        headers = {"Authorization": f"Bearer {self._admin if token is None else token}", **sent.pop("headers", {})}
        answer = self._client.request(method, path, headers=headers, **sent)
        self.statuses.add(answer.status_code)
        heads = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        if hands and answer.status_code == 200:
            found = answer.json()
            self.tokens |= {found["access_token"], found["refresh_token"]}
            self.said.append(Said(f"headers of {path}", heads))
            return found
        where = f"{method} {path} {answer.status_code}"
        self.said.append(Said(where, f"{heads}\n{answer.text}", own=own and answer.status_code < 300))
        return answer

    def first_picture(self) -> None:
        """What the monitor's feed tells first."""
        headers = {"Authorization": f"Bearer {self._admin}"}
        with self._client.stream("GET", "/v1/monitor/feed", headers=headers) as answer:
            picture = next(line for line in answer.iter_lines() if line.startswith("data:"))
        self.said.append(Said("feed", picture))

    def close(self) -> None:
        self._client.close()


async def prepared(url: str) -> str:
    """An admin's token."""
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        with acting_as(SYSTEM):
            admin = await container.user_service().create({"email": "root@example.com", "role": Role.ADMIN})
            return (await container.auth_service().issue(admin.id))[1]


async def broken(url: str) -> None:
    """From now on no account can be stored, for a reason that nobody has foreseen; PostgreSQL's words quote a value."""
    trigger = "CREATE TRIGGER fails BEFORE INSERT ON users "
    statements = [f"{trigger} BEGIN SELECT json(NEW.email); END"]
    if url.startswith("postgresql"):
        cast = "BEGIN NEW.version := NEW.email::int; RETURN NEW; END"
        statements = [
            f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ {cast} $$",
            f"{trigger} FOR EACH ROW EXECUTE FUNCTION fail()",
        ]
    built = Container(settings=Settings(database={"url": url}))
    async with running(built) as container, container.engine().begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


def used(ask: Asked, number: int) -> None:
    """What people do, rightly and wrongly."""
    email = f"{LOCAL}-{number}@example.com"
    person = {"email": email, "display_name": NAME, "password": PASSWORD}
    ask("POST", "/v1/auth/register", json=person, own=True, headers={"Idempotency-Key": IDEMPOTENCY + str(number)})
    ask("POST", "/v1/auth/register", json=person, headers={"X-Request-ID": REQUEST_ID})
    ask("POST", "/v1/auth/register", json=person | {"password": SHORT})
    ask("POST", "/v1/auth/register", json=person | {"password": PASSWORD * 60})
    ask("POST", "/v1/auth/register", json=person | {"password": [PASSWORD], "email": LOCAL})
    again = person | {"email": f"again-{email}"}
    ask("POST", "/v1/users", json=again, own=True, headers={"Idempotency-Key": IDEMPOTENCY + str(number)})
    other = again | {"display_name": f"{NAME} 2"}
    ask("POST", "/v1/users", json=other, headers={"Idempotency-Key": IDEMPOTENCY + str(number)})
    ask("POST", "/v1/users", json=person | {"role": NAME})
    ask("POST", "/v1/auth/login", content=f'{{"login": "{email}", "password": "{PASSWORD}', headers=JSON)
    ask("POST", "/v1/auth/login", json={"login": email, "password": WRONG})
    ask("POST", "/v1/auth/login", json={"login": f"un{email}", "password": WRONG})
    pair = ask("POST", "/v1/auth/login", json={"login": email, "password": PASSWORD}, hands=True)
    pair = ask("POST", "/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]}, hands=True)
    ask("POST", "/v1/auth/refresh", json={"refresh_token": MADE_UP})
    ask("GET", "/v1/users/me", token=MADE_UP)
    ask("GET", "/v1/users/me", headers={"Authorization": MADE_UP})
    own = ask("GET", "/v1/users/me", token=pair["access_token"], own=True).json()
    ask("PATCH", "/v1/users/me", token=pair["access_token"], json={"display_name": f"{NAME}\0"}, headers=ANY)
    ask("PATCH", "/v1/users/me", token=pair["access_token"], json={"display_name": f"{NAME}2"}, own=True, headers=ANY)
    ask("GET", f"/v1/users/{own['id']}/history", own=True)
    change = {"current": WRONG, "new": NEXT}
    ask("POST", "/v1/users/me/password", token=pair["access_token"], json=change)
    ask("POST", "/v1/users/me/password", token=pair["access_token"], json=change | {"current": PASSWORD})
    for query in ("email=", "name=", "phone=", "sort=", "cursor=", "status=", "limit="):
        ask("GET", f"/v1/users?{query}{SOUGHT}@example.com")
    ask("POST", "/v1/users/import", content=ROWS % number, headers=CSV)
    ask("POST", "/v1/users/import", content=f'email,display_name\na@example.com,"{CELL}', headers=CSV)
    ask("POST", "/v1/users/import", content=f"email,display_name\n{CELL},".encode() + b"\xff\xfe\n", headers=CSV)
    ask("POST", f"/v1/users/import?column={CELL}={CELL}&delimiter={CELL}", content=ROWS % number, headers=CSV)
    pages(ask)


def pages(ask: Asked) -> None:
    """What tells about the service."""
    for path in ("/metrics", "/v1/monitor", "/monitor", "/openapi.json", "/docs", "/health/ready"):
        ask("GET", path)


JSON: Final = {"Content-Type": "application/json"}
CSV: Final = {"Content-Type": "text/csv"}
ANY: Final = {"If-Match": "*"}


def commanded(folder: Path, variables: dict[str, str]) -> list[Said]:
    """What commands say, one after the other in a process of their own; a process each would take long to start."""
    file = folder / "people.csv"
    file.write_text(ROWS % "command", encoding="utf-8")
    lines = {
        "config show --sources": 0,
        "doctor --json": 4,
        f"users import {file} --json": 3,
        f"users create --email {LOCAL} --password": 1,
        "tokens revoke": 1,
    }
    program = "import sys; from app.cli import main; sys.exit(str([int(main(line.split())) for line in sys.argv[1:]]))"
    done = subprocess.run(
        [sys.executable, "-c", program, *lines],
        env=environment(**variables),
        input=f"{PASSWORD}\n{MADE_UP}\n",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stderr.endswith(f"{list(lines.values())}\n"), done.stderr
    assert '"rejected": [' in done.stdout
    return [Said("stdout of the commands", done.stdout), Said("stderr of the commands", done.stderr)]


def test_no_secret_and_no_value_is_in_what_the_service_says(
    database_url: str, backend: str, tmp_path: Path, record_property: Any
) -> None:
    admin = asyncio.run(prepared(database_url))
    url = make_url(database_url)
    variables = {
        # Where everybody is trusted, nobody asks for the password.
        "DATABASE_URL": (url if backend == "sqlite" else url.set(password=DSN)).render_as_string(hide_password=False),
        "REDIS_URL": f"redis://:{DSN}@127.0.0.1:1/0",
        "GATEHOUSE_WORKER__BROKER_URL": f"redis://:{DSN}@127.0.0.1:1/0",
        "GATEHOUSE_SECRET_KEY": KEY,
        "GATEHOUSE_DEBUG": "true",
        "LOG_LEVEL": "DEBUG",
        "GATEHOUSE_VAR_DIR": str(tmp_path),
        "GATEHOUSE_DATABASE__SLOW_SQL_THRESHOLD": "0.000001",
        "GATEHOUSE_PASSWORDS__TIME_COST": "1",
        "GATEHOUSE_PASSWORDS__MEMORY_COST": "64",
    }
    said: list[Said] = []
    tokens: set[str] = set()
    with ExitStack() as stack:
        commands = stack.enter_context(ThreadPoolExecutor(1)).submit(commanded, tmp_path, variables)
        servers, asked = [], []
        for log_format in ("console", "json"):
            folder = tmp_path / log_format
            folder.mkdir()
            server = server_process(folder, GATEHOUSE_LOG_FORMAT=log_format, **variables)
            servers.append(stack.enter_context(server))
        for server_of, number in zip(servers, (1, 2), strict=True):
            until_listening(server_of.address)
            asked.append(Asked(server_of.address, admin))
            used(asked[-1], number)
            asked[-1].first_picture()
        said += commands.result()
        asyncio.run(broken(database_url))
        for ask, server_of in zip(asked, servers, strict=True):
            person = {"email": f"{LOCAL}-last@example.com", "password": PASSWORD}
            assert ask("POST", "/v1/users", json=person).status_code == 500
            pages(ask)
            ask.close()
            server_of.process.send_signal(signal.SIGTERM)
            assert server_of.process.wait(30) == 0
            said += [*ask.said, Said("server", server_of.out.read_text() + server_of.err.read_text())]
            tokens |= ask.tokens
            assert {200, 201, 204, 400, 401, 409, 422, 500} <= ask.statuses

    logs = [entry.words for entry in said if entry.where == "server"]
    for log in logs:
        assert "slow" in log, "the log of slow statements is on"
        assert "UPDATE users" in log, "with their text"
        assert "POST /v1/users 500" in log
    assert all(json.loads(line) for line in logs[1].splitlines())
    assert any(f"{LOCAL}-1@example.com" in entry.words for entry in said if entry.own), "they were planted"

    secrets = {*SECRETS, *tokens, *map(digest_of, tokens)}
    found = [(entry.where, word) for entry in said for word in secrets if word in entry.words]
    found += [(entry.where, word) for entry in said for word in VALUES if not entry.own and word in entry.words]
    assert found == []
    size = sum(len(entry.words) for entry in said)
    record_property(
        "figure",
        f"canaries ({backend}): {len(secrets)} secrets and {len(VALUES)} values in {len(said)} outputs of "
        f"{size / 1e6:.1f} MB at DEBUG, {len(found)} found",
    )
