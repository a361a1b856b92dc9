"""The application, and one endpoint whose unit writes two rows into the ledger, with a pause between them.

Run as a program it is served as `gatehouse serve` serves: `--port PORT`.
"""

import asyncio
import gc
import sys

from fastapi import FastAPI

from app.api import create_app
from app.api.access import Access, access_table
from app.api.dependencies import ContainerDep
from app.cli.server import Server
from app.logs import configure_logs
from containers import Container
from tests.faults.ledger import write_part


def application(container: Container) -> FastAPI:
    app = create_app(container)
    access_table(app).add("POST /units/{unit}", Access.ANYONE)

    @app.post("/units/{unit}")
    async def write(unit: str, container: ContainerDep, seconds: float = 0) -> dict[str, str]:
        async with container.transaction()(name=unit) as transaction:
            await write_part(transaction.session, unit, 1)
            await asyncio.sleep(seconds)
            await write_part(transaction.session, unit, 2)
        return {"stored": unit}

    return app


if __name__ == "__main__":
    container = Container()
    configure_logs(container.settings())
    server = Server(container, application="tests.flows.ledger_application:application", port=int(sys.argv[-1]))
    served = asyncio.run(server.until_told())
    gc.freeze()  # as the command line ends, too
    sys.exit(0 if served else 1)
