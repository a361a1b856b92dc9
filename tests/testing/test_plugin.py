"""The plugin in a project of somebody else's: one line loads it, and every fixture is there."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.testing.project import LOOP, Project
from unitwork.testing.servers import postgresql as server

EVERYTHING = """
import pytest
from sqlalchemy import select, text
from domain import User
from unitwork.models import SYSTEM, acting_as

{mark}
async def test_every_fixture(container, session, client, settings, database_url, backend, assert_queries, no_leaks):
    assert settings.database.url.get_backend_name() == backend
    with acting_as(SYSTEM):
        user = await container.user_service().create({{"email": "ann@example.com"}})
    with assert_queries(exactly=1):
        assert (await session.scalars(select(User.id))).all() == [user.id]
    assert (await client.get("/v1/users")).status_code == 401
    assert (await client.get("/health/live")).status_code == 200

{mark}
@pytest.mark.parametrize("time", [1, 2])
async def test_a_table_of_the_tests_own_goes_with_it(container, time):
    async with container.engine().begin() as connection:
        await connection.execute(text("CREATE TABLE things (id integer)"))
    async with container.transaction()() as tx:
        await tx.session.execute(text("INSERT INTO things VALUES (1)"))

{mark}
@pytest.mark.database("own")
async def test_real_commits(container, session):
    async with container.transaction()():
        with acting_as(SYSTEM):
            await container.user_dao().add(User(email="a@b.c", email_key="a@b.c"))
        assert (await session.scalars(select(User))).all() == []
    assert len((await session.scalars(select(User))).all()) == 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)


def test_one_line_loads_it(project: Project) -> None:
    project.ini("unitwork_backends = sqlite postgresql", "asyncio_mode = auto")
    project.write("test_everything.py", EVERYTHING.format(mark=""))
    ran = project.run()
    assert ran.passed() == 8
    assert "\nran on: sqlite 3" in ran.out
    assert ", postgresql 1" in ran.out


def test_strict_mode_is_as_good_and_a_server_that_is_named_is_used(project: Project) -> None:
    project.ini("asyncio_mode = strict")
    project.write("test_everything.py", EVERYTHING.format(mark="@pytest.mark.asyncio"))
    ran = project.run()
    assert ran.passed() == 4
    assert "\nran on: postgresql 1" in ran.out


def test_one_loop_for_all_tests_is_as_good_and_without_a_server_sqlite_is_used(project: Project) -> None:
    project.ini("asyncio_mode = auto", f"{LOOP} = session", "asyncio_default_test_loop_scope = session")
    project.write("test_everything.py", EVERYTHING.format(mark=""))
    ran = project.run(server=False)
    assert ran.passed() == 4
    assert "\nran on: sqlite 3" in ran.out
    assert "postgresql" not in ran.out


def test_a_server_is_started_where_none_is_named(project: Project) -> None:
    project.ini("asyncio_mode = auto", "unitwork_backends = postgresql")
    project.write("test_it.py", EVERYTHING.format(mark=""))
    assert project.run("-n", "2", server=False).passed() == 4


def test_a_mode_that_is_not_known_is_told_by_its_test(project: Project) -> None:
    project.ini("asyncio_mode = auto")
    for number, wrong in enumerate(("('shared')", "", "(mode='own')", "('own', 'isolated')")):
        test = f"import pytest\n\n@pytest.mark.database{wrong}\nasync def test_it(container):\n    pass\n"
        project.write(f"test_{number}.py", test)
    # Schemathesis, where it is installed, tells of errors in its own way.
    ran = project.run("-p", "no:schemathesis", server=False)
    assert ran.code == pytest.ExitCode.INTERRUPTED
    assert '\ntest_0.py::test_it: @pytest.mark.database(\'shared\') is not known; use "isolated" or "own"\n' in ran.out
    assert ran.out.count(" is not known; use ") == 4
    assert "Traceback" not in ran.out


def test_a_database_that_is_not_known_is_a_usage_error(project: Project) -> None:
    project.ini("unitwork_backends = oracle")
    ran = project.run()
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert "unitwork_backends: unknown oracle; there are sqlite, postgresql" in ran.out


def test_the_container_and_the_application_may_have_other_names(project: Project) -> None:
    project.ini(
        "asyncio_mode = auto",
        "gatehouse_containers = wiring",
        "gatehouse_app = web:application",
    )
    project.write(
        "wiring.py",
        "from containers import Container as Theirs, running\n\nclass Container(Theirs):\n    pass\n",
    )
    project.write(
        "web.py", "from app.api import create_app\n\ndef application(container):\n    return create_app(container)\n"
    )
    project.write(
        "test_it.py",
        "from wiring import Container\n\n"
        "async def test_it(container, client):\n"
        "    assert container.declarative_parent is Container\n"
        "    assert (await client.get('/health/live')).status_code == 200\n",
    )
    assert project.run(server=False).passed() == 1


def test_the_databases_of_a_killed_worker_are_removed(project: Project) -> None:
    project.ini("asyncio_mode = auto", "unitwork_backends = postgresql")
    project.write(
        "test_it.py",
        "import os, pytest\n"
        "@pytest.mark.database('own')\n"
        "async def test_killed(container, database_url):\n"
        "    await container.user_dao().count().rows()\n"
        "    open('url', 'w').write(database_url)\n"
        "    os.kill(os.getpid(), 9)\n"
        "async def test_spared(container):\n"
        "    assert await container.user_dao().count().rows() == 0\n",
    )
    ran = project.run("-n", "2")
    assert ran.code == 1
    assert "1 failed, 1 passed" in ran.out
    name = (project.folder / "url").read_text().rsplit("/", 1)[1]
    run = "_".join(name.split("_")[:4])
    assert run.startswith("gatehouse_test_")
    assert server.databases_of(run) == []


def test_what_is_deployed_does_not_import_pytest() -> None:
    program = "import sys, containers, app.api, app.cli; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
