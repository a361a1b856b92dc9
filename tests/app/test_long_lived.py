"""What a server has started with is out of the garbage collector's sight while it serves, and no longer."""

import asyncio
import gc
from pathlib import Path

from app.cli.server import Server
from app.long_lived import collected_later, long_lived
from containers import Container
from settings import Settings


def test_for_the_length_of_a_block() -> None:
    with long_lived():
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0


def test_imports_are_not_interrupted_by_the_collector_which_is_left_as_it_was() -> None:
    with collected_later():
        assert not gc.isenabled()
        with collected_later():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_while_a_server_serves(tmp_path: Path) -> None:
    settings = Settings(database={"url": f"sqlite:///{tmp_path / 'served.db'}"}, node_id=1)
    seen = []

    async def serve() -> bool:
        server = Server(Container(settings=settings), host="127.0.0.1", port=0)
        serving = asyncio.create_task(server.until_told())
        while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.01)
        seen.append(gc.get_freeze_count())
        server.should_exit = True
        return await serving

    assert asyncio.run(serve())
    assert seen[0] > 10_000
    assert gc.get_freeze_count() == 0
