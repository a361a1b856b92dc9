"""The application, and one endpoint whose commit fails after its handler's last line.

Run as a program: `--port PORT`.
"""

import sys

import uvicorn
from fastapi import FastAPI

from app.api import create_app
from app.api.access import Access, access_table
from app.api.dependencies import ContainerDep
from tests.database.tables import replies, write


def application() -> FastAPI:
    app = create_app()
    access_table(app).add("POST /notes/{words}", Access.ANYONE)

    @app.post("/notes/{words}")
    async def note(words: str, container: ContainerDep, reply_to: int | None = None) -> dict[str, str]:
        async with container.transaction()() as tx:
            await write(tx.session, words)
            if reply_to is not None:  # a foreign key that is checked at the COMMIT
                await tx.session.execute(replies.insert().values(note=reply_to))
        return {"stored": words}

    return app


if __name__ == "__main__":
    uvicorn.run(application(), port=int(sys.argv[-1]), log_level="warning")
