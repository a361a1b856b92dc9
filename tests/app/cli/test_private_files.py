"""Files of this machine are for their owner alone, whatever the umask, and the doctor looks at them."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.private_files import keep_private, open_to_others
from services.messaging.broker import Broker
from tests.app.cli.conftest import Gatehouse
from tests.conftest import ROOT
from tests.flows.server import environment

SCRIPT = """
import asyncio, os
from pathlib import Path
from containers import Container, running
from unitwork.models import SYSTEM, acting_as

async def main():
    async with running() as container:
        await container.schema().upgrade()
        container.signing_key()
        with acting_as(SYSTEM):
            await container.user_service().register({'email': 'a@example.com'})
            (message,) = (await container.outbox_service().list()).items
            await container.outbox_relay().relay()
            await container.inbox_service().handle(message.id)
        for path in Path(os.environ['GATEHOUSE_VAR_DIR']).rglob('*'):
            print(path.name)

asyncio.run(main())
"""


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.rglob("*"))}


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_whatever_the_umask_files_are_for_their_owner_alone(umask: int, tmp_path: Path) -> None:
    var = tmp_path / "var"
    url = f"sqlite:///{var}/gatehouse.db"
    variables = environment(DATABASE_URL=url, GATEHOUSE_VAR_DIR=str(var), PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"gatehouse.db", "gatehouse.db-wal", "secret.key", "broker.db", "notifications"} <= set(done.stdout.split())
    found = modes(var)
    assert found.pop("var") == found.pop("notifications") == "0o700"
    assert set(found.values()) == {"0o600"}, found


def test_a_folder_that_is_there_is_made_private_and_what_is_not_ours_is_left(tmp_path: Path) -> None:
    (tmp_path / "notifications").mkdir(mode=0o755)
    names = ("gatehouse.db", "gatehouse.db-wal", "broker.db", "beat.db", "secret.key", "notifications/1.json")
    for name in names:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)
    keep_private(tmp_path)
    assert not list(open_to_others(tmp_path))
    (tmp_path / "mine.txt").touch()
    (tmp_path / "mine.txt").chmod(0o644)
    tmp_path.chmod(0o755)
    keep_private(tmp_path)
    assert {path.name for path in open_to_others(tmp_path)} == {tmp_path.name, "mine.txt"}
    keep_private(tmp_path / "nowhere")


def test_the_embedded_broker_s_files_are_private(umask: int, tmp_path: Path) -> None:
    Broker(None, None, tmp_path / "var", "queue", 1.0, 2.0, 3.0).options()
    found = modes(tmp_path / "var")
    assert (found.pop("var"), set(found.values())) == ("0o700", {"0o600"})


def test_the_worker_makes_files_for_its_owner_alone(tmp_path: Path) -> None:
    script = "from app.worker.application import _configure_logs; _configure_logs(); import os; print(oct(os.umask(0)))"
    variables = environment(PYTHONPATH=str(ROOT), GATEHOUSE_VAR_DIR=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", script], env=variables, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "0o77", done.stderr


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_doctor_names_what_others_may_look_at(
    gatehouse: Gatehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    var = tmp_path / "elsewhere"
    var.mkdir(mode=0o700)
    monkeypatch.setenv("GATEHOUSE_VAR_DIR", str(var))
    (var / "backup.db").touch(mode=0o600)

    def files() -> dict[str, str]:
        document = json.loads(gatehouse("doctor", "--json").out)
        (finding,) = [one for one in document["findings"] if one["subject"] == "files"]
        return dict(finding)

    assert files()["verdict"] == "ok"
    (var / "backup.db").chmod(0o640)
    found = files()
    assert (found["verdict"], found["fix"]) == ("warning", f"chmod -R go= {var}")
    assert "backup.db" in found["detail"]


def test_config_show_shows_of_a_url_what_is_listed_and_nothing_else(
    shell: Gatehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql://user:canary-a@db.example/gatehouse?options=-c%20search_path%3Dcanary-b&application_name=shown"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("GATEHOUSE_WORKER__BROKER_URL", "amqp://user:canary-c@broker.example/?secret=canary-d")
    monkeypatch.setenv("REDIS_URL", "redis://:canary-e@redis.example/0")
    for arguments in ((), ("--json",), ("--sources",)):
        done = shell("config", "show", *arguments)
        assert done.code == 0, done.err
        assert "canary" not in done.out + done.err
        assert "application_name=shown" in done.out
