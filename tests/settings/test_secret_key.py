"""The signing key: configured, or in development made once."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from settings import Settings
from settings.secret_key import FILE_NAME, secret_key

ROOT = Path(__file__).parents[2]
READ_KEY = """
import sys, time
from settings import Settings
from settings.secret_key import secret_key
settings = Settings(var_dir=sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(secret_key(settings))
"""


def test_the_configured_key_is_the_key_and_no_file_is_made(tmp_path: Path) -> None:
    assert secret_key(Settings(secret_key="k" * 40, var_dir=tmp_path / "var")) == "k" * 40
    assert not (tmp_path / "var").exists()


def test_development_makes_one_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path / "deep" / "var")
    key = secret_key(settings)
    path = settings.var_dir / FILE_NAME
    assert len(key) == 64
    assert path.read_text() == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret_key(settings) == key
    assert [file.name for file in settings.var_dir.iterdir()] == [FILE_NAME]


def test_two_folders_have_two_keys(tmp_path: Path) -> None:
    assert secret_key(Settings(var_dir=tmp_path / "a")) != secret_key(Settings(var_dir=tmp_path / "b"))


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", READ_KEY, str(tmp_path / "var")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    keys = set()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        keys.add(process.communicate(timeout=30)[0].strip())
        assert process.returncode == 0
    assert keys == {(tmp_path / "var" / FILE_NAME).read_text()}
    assert [file.name for file in (tmp_path / "var").iterdir()] == [FILE_NAME]


def test_threads_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    settings, barrier, keys = Settings(var_dir=tmp_path / "var"), threading.Barrier(8), []

    def read() -> None:
        barrier.wait()
        keys.append(secret_key(settings))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_a_process_that_lost_the_race_takes_the_winners_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILE_NAME
    path.write_text("winner")
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    assert secret_key(Settings(var_dir=tmp_path)) == "winner"
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]
