"""What the library's README shows works as shown: each of its files is written into a folder, and used from there."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from packages.unitwork.tests.reader import run

PACKAGE: Final = Path(__file__).parent.parent
README: Final = (PACKAGE / "README.md").read_text(encoding="utf-8")
EXTRAS: Final = sorted(
    tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
)
BLOCKS: Final = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
FIRST: Final = next(code for language, code in BLOCKS if language == "python")
FILES: Final = {"shop.py": FIRST} | {
    found[1]: code for _, code in BLOCKS if (found := re.match(r"# (\S+\.\w+)\n", code))
}
REVISION: Final = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True, nullable=False),
        sa.Column("customer", sa.String, nullable=False),
    )
"""
"""What Alembic would draft, which no README shows."""

OVER_HTTP: Final = """
import asyncio
import httpx2
from api import app


async def main():
    transport = httpx2.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://t") as client:
        placed = await client.post("/orders", params={"customer": "Ada"})
        read = await client.get(f"/orders/{placed.json()}")
        print(placed.status_code, read.json(), (await client.get("/orders/99")).status_code)


asyncio.run(main())
"""
WITH_A_CONTAINER: Final = """
import asyncio
from shop import Base, Order
from wiring import running


async def main():
    async with running("sqlite:///shop.db") as container:
        async with container.engine().begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with container.transaction()():
            await container.order_dao().add(Order(customer="Ada"))
        print(await container.order_dao().count().rows())


asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, code in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
    return tmp_path


def test_the_first_example_is_a_program_of_at_most_thirty_lines(folder: Path) -> None:
    assert FIRST.count("\n") <= 30
    assert "async with Database(" in FIRST
    assert run(folder, "shop.py") == "Ada has 1 order\n"


def test_every_block_is_a_file_that_a_test_uses() -> None:
    files = ["opening.py", "test_orders.py", "api.py", "migrations/env.py", "migrate.py", "wiring.py", "pyproject.toml"]
    assert set(FILES) == {"shop.py", *files}
    assert len([language for language, _ in BLOCKS if language != "sh"]) == len(FILES)


def test_the_tests_pass_with_the_options(folder: Path) -> None:
    printed = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_orders.py")
    assert re.search(r"^2 passed", printed, flags=re.MULTILINE), printed
    assert re.search(r"^ran on: sqlite 3", printed, flags=re.MULTILINE), printed


def test_the_endpoints_answer(folder: Path) -> None:
    assert run(folder, "-c", OVER_HTTP) == "201 Ada 404\n"


def test_the_migrations_run_on_the_databases_engine(folder: Path) -> None:
    (folder / "migrations" / "versions").mkdir()
    (folder / "migrations" / "versions" / "0001_orders.py").write_text(REVISION, encoding="utf-8")
    assert run(folder, "migrate.py") == "0001 []\n"


def test_the_container_opens_and_closes_what_it_has(folder: Path) -> None:
    assert run(folder, "-W", "error", "-c", WITH_A_CONTAINER) == "1\n"


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_explained(extra: str) -> None:
    assert re.search(rf"^\| .*`{extra}`.* \| ", README, flags=re.MULTILINE)
