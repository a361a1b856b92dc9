"""The application with endpoints that misbehave when they are asked to: slow SQL, a leak, N+1.

Run as a program it is served as `gatehouse serve` serves: `--port PORT`.
"""

import asyncio
import sys
from typing import Any

from fastapi import FastAPI
from sqlalchemy import text

from app.api import create_app
from app.api.access import Access, access_table
from app.api.dependencies import ContainerDep
from app.cli.server import Server
from app.logs import configure_logs
from containers import Container

CANARY = "c4n4ry"
"""A value that no page, metric or log may show."""
SLOW = f"""
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2000000)
SELECT count(*) FROM numbers WHERE '{CANARY}' <> ''
"""


def application(container: Container) -> FastAPI:
    app = create_app(container)
    for line in ("slow", "leak", "repeat", "end"):
        access_table(app).add(f"POST /plant/{line}", Access.ANYONE)
    leaked: list[Any] = []

    @app.post("/plant/slow")
    async def slow(container: ContainerDep) -> None:
        async with container.session_provider()(read_only=True) as session:
            await session.execute(text(SLOW))

    @app.post("/plant/leak")
    async def leak(container: ContainerDep) -> None:
        block = container.session_provider()(read_only=True)
        session = await block.__aenter__()  # planted
        leaked.append(block)
        await session.execute(text("SELECT 1"))

    @app.post("/plant/end")
    async def end() -> None:
        leaked.clear()

    @app.post("/plant/repeat")
    async def repeat(container: ContainerDep) -> None:
        users = await container.user_dao().query().all()
        for number in range(12):
            await container.user_dao().get(users[number % len(users)].id)

    return app


if __name__ == "__main__":
    container = Container()
    configure_logs(container.settings())
    server = Server(container, application="tests.browser.planted_application:application", port=int(sys.argv[-1]))
    sys.exit(0 if asyncio.run(server.until_told()) else 1)
