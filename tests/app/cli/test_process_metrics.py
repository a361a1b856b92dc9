"""`/metrics` of several real processes: what any of them counted, whichever answers."""

import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from domain.token import TokenKind
from tests.app.api.test_monitor import value_of
from tests.app.cli.test_processes import children_of, free_port, process, wait_for


def ask(address: str) -> None:
    """One read of the table of tokens, by whichever process takes the connection."""
    request = urllib.request.Request(
        f"{address}/v1/me", headers={"Authorization": f"Bearer {TokenKind.ACCESS.prefix}nobodys"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request, timeout=10):
        pass
    assert refused.value.code == 401
    refused.value.close()


def counted(address: str, expected: float) -> str:
    """The metrics, once so many reads were counted; a process tells the others each second or so."""
    for _ in range(200):
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as response:
            text: str = response.read().decode()
        if "SELECT tokens" in text:
            seen = value_of(text, "gatehouse_sql_statements_total", kind="SELECT tokens", outcome="ok")
            assert seen <= expected, "no read is counted twice"
            if seen == expected:
                return text
        time.sleep(0.05)
    raise AssertionError(text)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_metrics_add_up_over_processes_also_over_one_that_was_killed(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    variables = {"DATABASE_URL": database_url, "GATEHOUSE_METRICS_DIR": str(tmp_path / "metrics")}
    with process("serve", "--port", str(port), "--workers", "2", **variables) as server:
        assert wait_for(f"{address}/health/ready", server) == 200
        while len(children := children_of(server.pid)) < 2 or not _all_ready(address, tmp_path / "metrics"):
            time.sleep(0.05)
        for _ in range(40):
            ask(address)
        capacity = value_of(counted(address, 40), "gatehouse_pool_capacity")
        owners = {file.name.rpartition("_")[2].partition("-")[0] for file in (tmp_path / "metrics").glob("counter_*")}
        assert set(map(str, children)) <= owners, "each counts in files of its own"
        os.kill(children[0], signal.SIGKILL)
        while len(now := children_of(server.pid)) < 2 or children[0] in now:
            time.sleep(0.05)
        for _ in range(20):
            wait_for(f"{address}/health/live", server)
            ask(address)
        text = counted(address, 60)
        assert 0 < value_of(text, "gatehouse_pool_capacity") <= capacity
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=60)
    assert server.returncode == 0
    assert "Traceback" not in err


def _all_ready(address: str, folder: Path) -> bool:
    """Whether both processes have answered, and so keep their numbers in the folder."""
    with urllib.request.urlopen(f"{address}/health/ready", timeout=10):
        pass
    with urllib.request.urlopen(f"{address}/metrics", timeout=10):
        pass
    return len({file.name.rpartition("_")[2] for file in folder.glob("counter_*")}) >= 2
