"""1,000 imports are interrupted by SIGINT at random moments: whole batches, and the right exit code."""

import asyncio
import collections
import json
import subprocess
import sys
from pathlib import Path

import pytest

from containers import Container
from tests.faults.leaks import backends
from tests.faults.percentiles import percentiles
from tests.flows.server import environment

BATCH = 500


@pytest.mark.timeout(3600)
async def test_1000_interrupted_imports_keep_whole_batches_and_say_so(
    container: Container, backend: str, tmp_path: Path, seed: int, share: float
) -> None:
    url = container.settings().database.url.render_as_string(hide_password=False)
    count = max(int(1000 * share), 1)
    program = ["-m", "tests.faults.storm.interrupted_imports", str(count), str(seed), str(tmp_path)]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, *program],
        env=environment(DATABASE_URL=url, GATEHOUSE_VAR_DIR=str(tmp_path)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    codes = collections.Counter(line["code"] for line in seen)
    stored: collections.Counter[str] = collections.Counter()
    async for user in container.user_dao().query().order_by("id").stream():
        stored[(user.email or "").partition("x")[0]] += 1
    torn = {name: rows for name, rows in stored.items() if rows % BATCH}
    finished = {f"round{line['round']}" for line in seen if line["code"] == 0}
    print(
        f"\nseed {seed}: {len(seen)} rounds, exit codes {dict(codes)}, {len(torn)} with half a batch, "
        f"from the signal to the end {percentiles([line['took'] for line in seen if line['took']])}"
    )
    assert codes[130] == count
    assert set(codes) <= {0, 130}
    assert torn == {}
    assert {name for name in finished if stored[name] != 3 * BATCH} == set(), "what ended with 0 is all there"
    assert "Traceback" not in done.stderr
    if backend == "postgresql":
        assert await backends(container.settings().database.url) <= container.settings().database.pool_size
