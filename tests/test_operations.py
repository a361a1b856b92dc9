"""The guide to operations does what it says, on a real PostgreSQL; the image and compose.yaml keep their rules."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
import yaml
from sqlalchemy.engine import make_url

from containers import Container, running
from settings import Settings
from settings.origin import BESIDES, variables
from settings.settings import SHORT_NAMES
from tests.conftest import ROOT
from tests.flows.server import server_process, until_listening
from unitwork.errors import DatabaseError
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers import postgresql as server
from unitwork.testing.servers.databases import Databases

GUIDE: Final = ROOT / "docs" / "guides" / "operations.md"
KNOWN: Final = {*variables(), *BESIDES, *map(str.upper, SHORT_NAMES)}
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    text = GUIDE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def statements(sql: str) -> list[str]:
    bare = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    found = re.findall(r"(?:[^;$]|\$\$.*?\$\$)+", bare, flags=re.DOTALL)
    return [statement.strip() for statement in found if statement.strip()]


def test_the_guide_shows_what_is_deployed() -> None:
    for block, name in zip(blocks("sql"), ("roles.sql", "privileges.sql"), strict=True):
        assert statements((ROOT / "deploy" / name).read_text(encoding="utf-8")) == statements(block)


@pytest.fixture
def roles() -> Iterator[tuple[str, str]]:
    """The guide's statements, run here with names of this test alone: the URLs of the owner and of the service."""
    name = f"gatehouse_test_{secrets.token_hex(4)}"

    def own(statement: str) -> str:
        statement = re.sub(r"\bgatehouse(?=_owner|\b)", name, statement)
        return re.sub(r":'(\w+)'", lambda match: f"'canary {match[1]}'", statement)

    async def run(connection: Any, block: str) -> None:
        for statement in statements(block):
            await connection.execute(own(statement))

    roles_block, privileges_block = blocks("sql")
    server.on_server(lambda connection: run(connection, roles_block))
    try:
        url = make_url(server.url_of(name))

        async def inside() -> None:
            connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
            try:
                await run(connection, privileges_block)
            finally:
                await connection.close()

        server.apart(inside)
        yield tuple(  # type: ignore[misc]  # two
            url.set(username=role, password=f"canary {word}").render_as_string(hide_password=False)
            for role, word in ((f"{name}_owner", "owner_password"), (name, "password"))
        )
    finally:
        server.drop(name)
        for role in (name, f"{name}_owner"):
            server.on_server(lambda connection, role=role: connection.execute(f'DROP ROLE "{role}"'))  # type: ignore[misc]


async def test_the_service_works_as_a_role_that_can_change_rows_and_nothing_else(roles: tuple[str, str]) -> None:
    owner, service = roles
    async with running(Container(settings=Settings(database={"url": owner}))) as container:
        await container.schema().upgrade()
        assert await container.schema().differences() == []
    async with running(Container(settings=Settings(database={"url": service}))) as container:
        with acting_as(SYSTEM):
            user = await container.user_service().create({"email": "ada@example.com"})
            await container.user_service().delete(user.id)
            await container.user_service().purge(user.id)
        history = (await container.audit_service().history(user.id)).items
        assert [entry.action for entry in history] == ["purged", "deleted", "created"]
        assert all(not values for entry in history for values in entry.changes.values()), "forgotten by the function"
        facts = await container.database_server().facts()
        assert facts.superuser is False
        assert await container.schema().current() == container.schema().head
        for statement in (
            "CREATE TABLE x (id int)", "DROP TABLE tokens", "ALTER TABLE users ADD COLUMN x int", "TRUNCATE users",
            "CREATE ROLE x", "SELECT pg_read_file('/etc/passwd')", "CREATE SCHEMA x",
            "UPDATE audit_entries SET changes = '{}'", "UPDATE audit_entries SET created_by = 1",
            "DELETE FROM audit_entries", "TRUNCATE audit_entries",
            "SELECT * FROM alembic_version", "UPDATE alembic_version SET version_num = '0001'",
            "ALTER FUNCTION audit_entries_forget(bigint[], bigint[], bigint[]) SET search_path = pg_temp",
        ):  # fmt: skip
            await _refused(container, statement)
        await _refused(container, "UPDATE schema_revision SET version_num = '0001'", sqlstate="55000")  # for anybody
        async with container.engine().connect() as connection:
            for name, value in (("lock_timeout", "10s"), ("idle_in_transaction_session_timeout", "1min"),
                                ("client_connection_check_interval", "5s"), ("statement_timeout", "30s")):  # fmt: skip
                found = (await connection.exec_driver_sql(f"SHOW {name}")).scalar_one()
                assert found == value, name


async def test_the_privileges_can_be_given_again_after_an_upgrade(roles: tuple[str, str]) -> None:
    owner, service = roles
    name = str(make_url(service).username)
    async with running(Container(settings=Settings(database={"url": owner}))) as container:
        await container.schema().upgrade()
        async with container.engine().begin() as connection:
            await connection.exec_driver_sql(f"GRANT ALL ON audit_entries, alembic_version TO {name}")

    async def again() -> None:
        administrator = make_url(server.url_of(name)).set(drivername="postgresql")
        connection = await asyncpg.connect(administrator.render_as_string(hide_password=False))
        try:
            for statement in statements(blocks("sql")[1]):
                await connection.execute(re.sub(r"\bgatehouse(?=_owner|\b)", name, statement))
        finally:
            await connection.close()

    server.apart(again)
    async with running(Container(settings=Settings(database={"url": service}))) as container:
        assert await container.schema().current() == container.schema().head
        for statement in ("UPDATE audit_entries SET row_count = 2", "SELECT * FROM alembic_version"):
            await _refused(container, statement)


async def _refused(container: Container, statement: str, *, sqlstate: str = "42501") -> None:
    with pytest.raises(DatabaseError, match=sqlstate):
        async with container.engine().begin() as connection:
            await connection.exec_driver_sql(statement)


def test_the_shell_lines_run(databases: Databases, tmp_path: Path) -> None:
    shim = tmp_path / "bin" / "gatehouse"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app "$@"\n', encoding="utf-8")
    shim.chmod(0o700)
    environment = {**os.environ, "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment |= {"DATABASE_URL": databases.create("sqlite"), "GATEHOUSE_VAR_DIR": str(tmp_path)}
    script = "\n".join(blocks("sh"))
    done = subprocess.run(
        ["sh", "-euc", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GATEHOUSE_PORT\t8000\tdefault" in done.stdout


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return document


def test_images_are_pinned_and_nobody_is_root() -> None:
    bases = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, flags=re.MULTILINE)
    images = [service["image"] for service in compose()["services"].values() if service["image"] != "gatehouse"]
    digests = [re.search(r"\$\{\w+_DIGEST:-\}$", image) for image in images]
    assert all(digests), "each may be pinned by its digest"
    images = [image.partition("$")[0] for image in images]
    assert len(bases) == 1
    assert len(images) == 2
    for image in (*bases, *images):
        assert re.fullmatch(r"docker\.io/library/[a-z]+:\d+\.\d+(\.\d+)?-[a-z-]+", image), image
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)) == {"${BASE}${BASE_DIGEST}"}
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.findall(r"^USER (\S+)$", last, flags=re.MULTILINE)
    assert user == ["10001:10001"]
    for name, service in compose()["services"].items():
        assert service.get("privileged") is None, name
        if name != "postgresql":  # its image begins as root, and steps down
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name


def test_the_image_is_built_from_hashes_and_holds_no_secret() -> None:
    installs = re.findall(r"pip install\b(.*?)(?:&&|\n(?=\S))", DOCKERFILE, flags=re.DOTALL)
    assert len(installs) == 3
    for arguments in installs:
        assert "--require-hashes" in arguments or "--no-deps" in arguments
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    for line in ignored:
        if line.startswith("!"):
            assert (ROOT / line.removeprefix("!")).exists(), line
    packages = re.findall(r'"(\w+)\*"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {f"!{package}" for package in packages} <= set(ignored)
    secret = re.compile(r"(?i)password|secret|token|_key")
    assert [name for name in re.findall(r"(\w+)=\S", DOCKERFILE) if secret.search(name)] == []
    for name, service in compose()["services"].items():
        told = {key for key in service.get("environment", {}) if secret.search(key)}
        assert told <= {"POSTGRES_PASSWORD_FILE"}, name
    assert "secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_redis_has_a_password_and_nobody_but_those_who_need_it_reaches_it(tmp_path: Path) -> None:
    document = compose()
    inside = {name for name, network in document["networks"].items() if network and network.get("internal")}
    assert inside == {"database", "redis"}
    on = {name: set(service["networks"]) for name, service in document["services"].items()}
    assert on == {
        "postgresql": {"database"}, "redis": {"redis"}, "migrate": {"database"},
        "api": {"outside", "database", "redis"}, "worker": {"database", "redis"},
    }  # fmt: skip
    redis = document["services"]["redis"]
    assert "ports" not in redis
    (tmp_path / "redis_password").write_text("canary\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    *shell, script = redis["command"]
    script = script.replace("$$", "$").replace("/run/secrets", str(tmp_path)) + f" --port {port} --dir {tmp_path}"
    check = redis["healthcheck"]["test"][1].replace("$$", "$").replace("/run/secrets", str(tmp_path))
    check = check.replace("redis-cli", f"redis-cli -p {port}")
    with subprocess.Popen([*shell, script], stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            healthy = ["sh", "-c", f"for i in $(seq 50); do {check} && exit 0; sleep 0.1; done; exit 1"]
            assert subprocess.run(healthy, timeout=30, check=False).returncode == 0
            asked = subprocess.run(["redis-cli", "-p", port, "ping"], capture_output=True, text=True, check=False)
            assert "NOAUTH" in asked.stdout + asked.stderr
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def test_every_setting_that_is_deployed_exists() -> None:
    set_in_image = set(re.findall(r"(GATEHOUSE_\w+)=", DOCKERFILE))
    assert set_in_image
    services = compose()["services"]
    for name in ("api", "worker", "migrate"):
        service = services[name]
        named = {*service["environment"], *(secret["target"].upper() for secret in service["secrets"]), *set_in_image}
        assert named <= KNOWN, name
        values = {key: value for key, value in service["environment"].items() if key != "DATABASE_URL"}
        assert "@" not in str(values)
        assert make_url(service["environment"]["DATABASE_URL"]).password is None
        given = {secret["source"] for secret in service["secrets"]}
        assert given <= set(compose()["secrets"])


def test_the_larger_deployment_keeps_the_same_rules() -> None:
    scale, small = compose("compose.scale.yaml"), compose()
    services = scale["services"]
    assert set(services) == {"primary", "replica", "pgbouncer", "redis", "migrate", "api-1", "api-2", "worker"}
    assert services["redis"] == small["services"]["redis"]
    for name in ("primary", "replica"):
        assert services[name]["image"] == small["services"]["postgresql"]["image"]
    for name, service in services.items():
        assert service["image"] == "gatehouse" or re.search(r":v?\d[\w.-]+\$\{\w+_DIGEST:-\}$", service["image"]), name
        assert service.get("privileged") is None, name
        assert set(service["networks"]) <= {"outside", "database", "redis"}, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        given = {secret if isinstance(secret, str) else secret["source"] for secret in service["secrets"]}
        assert given <= set(scale["secrets"]), name
        assert set(service.get("depends_on", ())) <= set(services), name
    for name in ("api-1", "api-2", "worker", "migrate"):
        environment = services[name]["environment"]
        assert set(environment) <= KNOWN, name
        hosts = [make_url(environment["DATABASE_URL"]).host]
        hosts += [
            make_url(url).host for url in environment.get("GATEHOUSE_DATABASE__REPLICA_URLS", "").split(",") if url
        ]
        assert hosts == (["primary"] if name == "migrate" else ["pgbouncer", "replica"]), name
    for script in (ROOT / "deploy").glob("*.sh"):
        assert subprocess.run(["sh", "-n", script], check=False).returncode == 0, script
        for mount in re.findall(r"/run/secrets/(\w+)", script.read_text(encoding="utf-8")):
            assert mount in scale["secrets"], script


def test_the_migration_is_another_role_and_comes_first() -> None:
    services = compose()["services"]
    assert services["migrate"]["command"] == ["db", "upgrade"]
    assert services["migrate"]["environment"]["GATEHOUSE_DATABASE__USERNAME"] == "gatehouse_owner"
    assert services["migrate"]["restart"] == "no"
    for name in ("api", "worker"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert "GATEHOUSE_DATABASE__USERNAME" not in services[name]["environment"]
    for service in services.values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "a proxy is what others reach"


def test_the_health_check_of_the_image_tells_a_server_from_none(database_url: str, tmp_path: Path) -> None:
    check = re.search(r"^HEALTHCHECK .*\n\s+CMD (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)
    assert check
    program, *arguments = yaml.safe_load(check[1])
    assert program == "python"
    with server_process(tmp_path, DATABASE_URL=database_url, GATEHOUSE_VAR_DIR=str(tmp_path)) as serving:
        until_listening(serving.address)
        here = [argument.replace("http://127.0.0.1:8000", serving.address) for argument in arguments]
        assert subprocess.run([sys.executable, *here], timeout=20, check=False).returncode == 0
    gone = subprocess.run([sys.executable, *here], timeout=20, check=False, capture_output=True)
    assert gone.returncode != 0
