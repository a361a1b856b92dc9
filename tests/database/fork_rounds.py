"""Run as a program: forks with an open pool, again and again; says what parent and child saw.

Arguments: the database's URL and the number of rounds. Prints one JSON object.
"""

import asyncio
import json
import os
import sys

from sqlalchemy import text

from containers import Container, running
from settings import Settings
from tests.database.tables import create_tables, write
from unitwork.errors import EngineBelongsToAnotherProcess


async def note(container: Container, words: str) -> None:
    async with container.transaction()() as tx:
        await write(tx.session, words)


async def refused(container: Container) -> bool:
    """Whether using the parent's container is refused."""
    try:
        await note(container, "never")
    except EngineBelongsToAnotherProcess:
        return True
    return False


async def in_own_container(settings: Settings, words: str) -> None:
    async with running(Container(settings=settings)) as container:
        await note(container, words)


async def main(url: str, rounds: int) -> None:
    settings = Settings(database={"url": url})
    block = running(Container(settings=settings))
    container = await block.__aenter__()
    await create_tables(container)
    right = 0
    for number in range(rounds):
        await note(container, f"before {number}")  # leaves a connection in the pool
        child = os.fork()
        if child == 0:
            # Nothing may run the parent's exit handlers, whatever happens here.
            code = 1
            try:
                seen = asyncio.run(refused(container))
                asyncio.run(in_own_container(settings, f"child {number}"))
                asyncio.run(block.__aexit__(None, None, None))  # as a child that unwinds its parent's blocks
                code = 0 if seen else 2
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        await note(container, f"after {number}")
        right += status == 0
    async with container.transaction()(read_only=True) as tx:
        rows = (await tx.session.execute(text("SELECT count(*) FROM notes"))).scalar_one()
    left = container.schema().connections_in_use
    await block.__aexit__(None, None, None)
    print(json.dumps({"right": right, "rows": rows, "left": left}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
