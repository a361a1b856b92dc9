"""Compatibility: an upgrade stores which releases work with the schema, and those find themselves in it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from containers import Container, running
from migrations import LOCATION, REVISION_VIEW
from settings import Settings
from unitwork import Fit, Schema, StoredRevision
from unitwork.errors import UnknownRevision
from unitwork.testing.servers import mariadb_server
from unitwork.testing.servers.databases import Databases

needs_mariadb = pytest.mark.skipif(not mariadb_server.named(), reason=f"{mariadb_server.MARIADB_URL} is unset")
pytestmark = pytest.mark.parametrize(
    "backend", ["sqlite", "postgresql", pytest.param("mariadb", marks=needs_mariadb)], indirect=True
)

ADDS = """
def upgrade() -> None:
    op.create_table("notes_{0}", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade() -> None:
    op.drop_table("notes_{0}")
"""
MIGRATION = """import sqlalchemy as sa
from alembic import op

revision = "{0}"
down_revision = "{1}"
"""


CONCURRENTLY = """import sqlalchemy as sa
from alembic import op

revision = "{0}"
down_revision = "{1}"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_users_status")
        op.create_index("ix_users_status", "users", ["status"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index("ix_users_status")
"""
DANGEROUS = CONCURRENTLY.replace(", postgresql_concurrently=True", "").replace("INDEX CONCURRENTLY", "INDEX")
UNRENDERABLE = CONCURRENTLY.replace("    with ", "    op.get_bind().scalar(sa.text('SELECT 1'))\n    with ")


@pytest.fixture
async def empty(databases: Databases, backend: str) -> AsyncIterator[Container]:
    """A container of this release, over a database without a table."""
    url = await asyncio.to_thread(databases.create, backend, migrated=False)
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        yield container
    await asyncio.to_thread(databases.drop, url)


def after(revision: str | None, by: int = 1) -> str:
    """The revision that comes so many after this one."""
    return f"{int(revision or 0) + by:04}"


def next_release(container: Container, folder: Path, *declared: str | None) -> Schema:
    """The schema of a release with so many more migrations, each declaring what it is compatible from."""
    shutil.copytree(LOCATION, folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    newest = container.schema().head
    for oldest in declared:
        number = after(newest)
        constant = "" if oldest is None else f'compatible_from = "{oldest}"\n'
        content = MIGRATION.format(number, newest) + constant + ADDS.format(number)
        (folder / "migrations/versions" / f"{number}_next.py").write_text(content, encoding="utf-8")
        newest = number
    given = container.engine(), folder / "migrations", container.lifetime(), container.session_factory()
    return Schema(*given, container.settings().database, revision_view=REVISION_VIEW)


async def test_a_migration_that_only_adds_works_with_the_releases_before(empty: Container, tmp_path: Path) -> None:
    ours = empty.schema()
    await ours.upgrade()
    assert await ours.stored() == StoredRevision(ours.head, "0009")
    await next_release(empty, tmp_path, None, None).upgrade()
    assert await ours.stored() == StoredRevision(after(ours.head, 2), "0009")
    assert ours.fit(await ours.stored()) is Fit.NEWER


async def test_a_migration_that_takes_away_says_from_which_release_on(empty: Container, tmp_path: Path) -> None:
    ours = empty.schema()
    first, second, third = (after(ours.head, by) for by in (1, 2, 3))
    theirs = next_release(empty, tmp_path, None, second, first)
    await theirs.upgrade()
    assert await ours.stored() == StoredRevision(third, second), "a later one takes nothing back"
    assert ours.fit(await ours.stored()) is Fit.AHEAD
    await theirs.downgrade(first)
    assert await ours.stored() == StoredRevision(first, "0009")
    assert ours.fit(await ours.stored()) is Fit.NEWER


async def test_a_declaration_of_a_revision_that_comes_later_is_refused(empty: Container, tmp_path: Path) -> None:
    number = after(empty.schema().head)
    with pytest.raises(UnknownRevision, match=f"'{number}' is compatible from '0099', which isn't before it"):
        await next_release(empty, tmp_path, "0099").upgrade()


async def test_a_schema_from_before_is_behind_with_and_without_its_view(empty: Container) -> None:
    schema = empty.schema()
    assert schema.fit(await schema.stored()) is Fit.BEHIND
    for revision in ("0007", "0008"):
        await schema.upgrade(revision)
        assert await schema.stored() == StoredRevision(revision)
        assert schema.fit(await schema.stored()) is Fit.BEHIND
    await schema.upgrade()
    assert schema.fit(await schema.stored()) is Fit.CURRENT
    await schema.downgrade("0008")
    assert await schema.stored() == StoredRevision("0008")
    await schema.upgrade()
    assert await schema.stored() == StoredRevision(schema.head, "0009")
    assert await schema.differences() == []


async def test_hazards_are_named_and_their_recipe_works(empty: Container, tmp_path: Path, backend: str) -> None:
    schema, newest = next_release(empty, tmp_path), empty.schema().head
    number = after(newest)
    file = tmp_path / "migrations/versions" / f"{number}_status.py"
    for content, rules in ((DANGEROUS, ["drop-index", "index"]), (UNRENDERABLE, ["unrenderable"]), (CONCURRENTLY, [])):
        file.write_text(content.format(number, newest), encoding="utf-8")
        shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)
        assert [(one.revision, one.rule) for one in schema.hazards("0005")] == [(number, rule) for rule in rules]
    if backend == "postgresql":
        await schema.upgrade()
        assert (await schema.stored()).revision == number
        async with empty.engine().connect() as connection:
            valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_users_status'::regclass"
            assert (await connection.exec_driver_sql(valid)).scalar() is True
