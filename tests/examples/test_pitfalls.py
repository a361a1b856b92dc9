"""Each page of the gallery shows what it says: the broken way breaks, every time, and the right one doesn't."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker
from starlette.requests import ClientDisconnect

from containers import Container, running
from examples.pitfalls import (
    abandoned_generator,
    commit_after_response,
    engine_across_loops,
    gather_on_one_session,
    shared_resource,
    streaming_after_close,
    swallowed_failure,
)
from settings import Settings
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")

GALLERY: Final = Path(__file__).parents[2] / "examples" / "pitfalls"
PAGES: Final = sorted(GALLERY.glob("*.py"))


async def test_a_session_as_a_resource_is_shared_and_commits_what_failed(settings: Settings) -> None:
    seen = await shared_resource.broken(settings)
    assert seen.sessions == 1
    assert seen.answers == ["ValueError", "TypeError", "done"], "the TypeError took the ValueError's place"
    assert seen.stored == ["bad, alone", "bad, together", "good"]


async def test_a_transaction_for_each_call_stores_what_went_well(settings: Settings) -> None:
    seen = await shared_resource.right(settings)
    assert seen.sessions == 2
    assert seen.answers == ["ValueError", "ValueError", "done"]
    assert seen.stored == ["good"]


async def test_a_commit_after_the_response_is_a_200_without_a_row(settings: Settings, backend: str) -> None:
    seen = await commit_after_response.broken(settings)
    assert seen.statuses == [200, 200]
    assert seen.stored == {"postgresql": 1, "sqlite": 0}[backend], "on SQLite the bad line takes the good one along"


async def test_a_real_server_tells_that_200_too(settings: Settings) -> None:
    page = commit_after_response
    async with page.no_lines(settings) as look, page.tutorial_engine(settings) as engine:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(page.tutorial_app(engine), log_config=None, lifespan="off", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
            answer = await client.post("/orders/404/lines")
        server.should_exit = True
        await serving
        assert (answer.status_code, answer.json()) == (200, "stored")
        assert await page.stored(look) == 0


async def test_a_commit_in_the_endpoint_is_a_conflict(settings: Settings) -> None:
    assert await commit_after_response.right(settings) == commit_after_response.Seen(statuses=[409, 200], stored=1)


async def test_a_generator_left_by_return_stores_nothing_and_tells_nobody(settings: Settings) -> None:
    page = abandoned_generator
    await page.no_accounts(settings)
    with acting_as(SYSTEM):
        assert await page.broken(settings) == page.Seen(answer="stored", stored=[])


async def test_a_block_that_is_left_stores_and_one_that_is_not_is_refused(settings: Settings) -> None:
    page = abandoned_generator
    await page.no_accounts(settings)
    assert await page.refused(settings) == page.Seen(answer="SessionEnded", stored=["grace@example.com"])
    await page.no_accounts(settings)
    assert await page.right(settings) == page.Seen(answer="stored", stored=["ada@example.com"])


async def test_gather_on_one_session_commits_what_failed(settings: Settings) -> None:
    seen = await gather_on_one_session.broken(settings)
    assert seen == gather_on_one_session.Seen(answers=["ValueError", "done"], stored=["paid", "refused"])


async def test_gather_on_one_session_of_ours_is_refused(settings: Settings) -> None:
    seen = await gather_on_one_session.refused(settings)
    assert seen == gather_on_one_session.Seen(answers=["SessionBelongsToAnotherTask"] * 2, stored=[])


async def test_gather_over_transactions_stores_what_went_well(settings: Settings) -> None:
    seen = await gather_on_one_session.right(settings)
    assert seen == gather_on_one_session.Seen(answers=["ValueError", "done"], stored=["paid"])


async def test_streaming_after_close_empties_the_pool(settings: Settings) -> None:
    await streaming_after_close.three_accounts(settings)
    seen = await streaming_after_close.broken(settings)
    assert seen == streaming_after_close.Seen(downloads=[3, 3], in_use=2, next_status=500)


async def test_streaming_after_close_is_refused_with_our_sessions(settings: Settings) -> None:
    await streaming_after_close.three_accounts(settings)
    assert await streaming_after_close.refused(settings) == "SessionBelongsToAnotherTask"


async def test_a_streaming_query_gives_its_connection_back(settings: Settings) -> None:
    await streaming_after_close.three_accounts(settings)
    seen = await streaming_after_close.right(settings)
    assert seen == streaming_after_close.Seen(downloads=[3, 3], in_use=0, next_status=200)


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
async def test_a_streaming_query_gives_its_connection_back_when_the_client_leaves(
    settings: Settings, spec_version: str
) -> None:
    await streaming_after_close.three_accounts(settings)
    async with running(Container(settings=settings)) as container:
        await leave_early(streaming_after_close.gatehouse_app(container), spec_version)
        assert container.schema().connections_in_use == 0


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
async def test_a_response_of_starlettes_leaves_the_generator_half_way(settings: Settings, spec_version: str) -> None:
    """Why the page has a response of its own."""
    closed = False

    async def rows() -> AsyncGenerator[str, None]:
        nonlocal closed
        try:
            yield "1"
            yield "2"
        finally:
            closed = True

    app = FastAPI()
    async with aclosing(rows()) as kept:  # from the garbage collector

        @app.get("/download")
        async def download() -> StreamingResponse:
            return StreamingResponse(kept)

        await leave_early(app, spec_version)
        assert not closed
    assert closed


def test_an_engine_fails_in_its_second_loop(settings: Settings, backend: str) -> None:
    seen = engine_across_loops.broken(settings)
    assert seen.first == ["1", "1"]
    assert seen.second == {"postgresql": ["RuntimeError", "RuntimeError"], "sqlite": ["1", "RuntimeError"]}[backend]


def test_a_container_in_another_loop_is_refused_by_name(settings: Settings) -> None:
    assert "another event loop" in asyncio.run(engine_across_loops.refused(settings))


def test_a_container_in_each_loop_works(settings: Settings) -> None:
    assert engine_across_loops.right(settings) == engine_across_loops.Seen(first=["1", "1"], second=["1", "1"])


async def test_a_swallowed_failure_commits_half_or_nothing_and_reports_success(
    settings: Settings, backend: str
) -> None:
    seen = await swallowed_failure.broken(settings)
    assert seen.ended == "committed"
    assert (
        seen.stored
        == {
            "sqlite": ["last seat", "order", "seat reserved"],
            "postgresql": ["last seat"],
        }[backend]
    )


async def test_a_swallowed_failure_of_a_flush_stores_nothing_and_reports_success(settings: Settings) -> None:
    page = swallowed_failure
    async with page.empty_table(settings) as engine:
        async with async_sessionmaker(engine).begin() as session:
            session.add(page.Note(text="order"))
            await session.flush()
            session.add(page.Note(text="last seat"))
            with suppress(IntegrityError):
                await session.flush()
        assert await page.stored(engine) == ["last seat"]


async def test_a_swallowed_failure_in_a_transaction_of_ours_is_told(settings: Settings) -> None:
    seen = await swallowed_failure.refused(settings)
    assert seen.ended == "TransactionRolledBack because of UniqueViolation"
    assert seen.stored == ["last seat"]


async def test_a_step_in_a_savepoint_fails_alone(settings: Settings) -> None:
    seen = await swallowed_failure.right(settings)
    assert seen == swallowed_failure.Seen(ended="committed", stored=["last seat", "order"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs_as_a_script(page: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", page],
        env=os.environ | {"GATEHOUSE_VAR_DIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    labels = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert labels in (["broken", "right"], ["broken", "refused", "right"])


def test_the_index_has_every_page_and_no_other() -> None:
    index = (GALLERY / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\| \[(\w+\.py)\]\(\1\) \|", index)) == [page.name for page in PAGES]
    assert all((GALLERY / link).exists() for link in re.findall(r"\]\(([^)]+)\)", index))


async def leave_early(app: FastAPI, spec_version: str) -> None:
    """Download from it, and be gone when the first row has come: as a server of that ASGI version tells of it."""
    gone = asyncio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            gone.set()
            if spec_version == "2.4":
                raise OSError
            await asyncio.Event().wait()  # a socket that takes no more; Starlette cancels

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": spec_version},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/download",
        "raw_path": b"/download",
        "query_string": b"",
        "headers": [],
        "server": ("test", 80),
        "client": ("test", 1),
    }
    with suppress(ClientDisconnect):
        await app(scope, receive, send)
