"""The main job: accounts in from a file while the service runs, out over HTTP and to a file, and in again."""

import asyncio
import csv
import time
from pathlib import Path
from typing import Any

import httpx2

from containers import Container, running
from domain import Role
from settings import Settings
from tests.conftest import ROOT
from tests.flows.server import command, json_of, serving
from unitwork.models import SYSTEM, acting_as

PEOPLE = ROOT / "tests" / "data" / "us-500.csv"
MAPPING = [
    "--column", "email=email", "--column", "phone=phone1", "--column", "display_name={firstname} {lastname}",
    "--region", "US",
]  # fmt: skip


def until_ready(client: httpx2.Client) -> None:
    for _ in range(800):
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server is not ready within 40 s")


def walk(client: httpx2.Client) -> list[dict[str, Any]]:
    """Every account, page by page."""
    users: list[dict[str, Any]] = []
    cursor = ""
    while True:
        response = client.get(f"/v1/users?limit=100{cursor}")
        assert response.status_code == 200
        body = response.json()
        users += body["items"]
        assert len(body["items"]) <= 100
        if not body["has_more"]:
            return users
        cursor = f"&cursor={body['next_cursor']}"


def records(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


async def admin_of(url: str) -> str:
    """An admin's token."""
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        with acting_as(SYSTEM):
            admin = await container.user_service().create({"email": "root@example.com", "role": Role.ADMIN})
            return (await container.auth_service().issue(admin.id))[1]


async def accounts(url: str) -> list[tuple[Any, ...]]:
    """Every account in the order of creation, without what belongs to its database."""
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        users = await container.user_dao().query().order_by("id").all()
    return [(user.email, user.phone, user.display_name, user.role, user.status) for user in users]


def test_five_hundred_people_come_in_and_go_out_and_come_in_again(
    database_url: str, other_url: str, tmp_path: Path
) -> None:
    here = {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
    there = {"DATABASE_URL": other_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
    token = asyncio.run(admin_of(database_url))

    with (
        serving(tmp_path, **here) as address,
        httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client,
    ):
        until_ready(client)
        first = json_of("users", "import", str(PEOPLE), *MAPPING, **here)
        assert (first["rows"], first["imported"], first["skipped"], first["rejected"]) == (500, 500, 0, [])
        again = json_of("users", "import", str(PEOPLE), *MAPPING, **here)
        assert (again["rows"], again["imported"], again["skipped"], again["rejected"]) == (500, 0, 500, [])

        users = walk(client)
        assert len({user["id"] for user in users}) == len(users) == 501
        expected = {(row["email"], f"{row['firstname']} {row['lastname']}") for row in records(PEOPLE)}
        imported = [user for user in users if user["email"] != "root@example.com"]
        assert {(user["email"], user["display_name"]) for user in imported} == expected
        assert all(user["phone"].startswith("+1") and len(user["phone"]) == 12 for user in imported)

        ready = client.get("/health/ready").json()
        assert ready["pool_in_use"] <= 1, "its own question may still hold one"

    output = tmp_path / "export.csv"
    assert command("users", "export", "--output", str(output), **here).returncode == 0
    copied = json_of("users", "import", str(output), **there)
    assert (copied["rows"], copied["imported"], copied["rejected"]) == (501, 501, [])
    before, after = asyncio.run(accounts(database_url)), asyncio.run(accounts(other_url))
    assert len(before) == 501
    assert after == before
    assert token not in (tmp_path / "server.err").read_text()
