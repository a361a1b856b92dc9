"""Waiting for what comes about by itself."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

import httpx2


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within: float = 5.0, pause: float = 0.01) -> None:
    """Ask again and again. Raises TimeoutError when it still isn't so after `within` seconds."""
    async with asyncio.timeout(within):
        while True:
            answer = condition()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(pause)


async def until_ready(client: httpx2.AsyncClient, *, within: float = 10.0) -> None:
    """Probe readiness as an orchestrator does: one red answer of a machine without a free core ends nothing. Fails with
    the last answer.
    """
    answers: list[httpx2.Response] = []

    async def ready() -> bool:
        answers.append(await client.get("/health/ready"))
        return answers[-1].status_code == 200

    try:
        await until(ready, within=within)
    except TimeoutError:
        raise AssertionError(f"not ready within {within:g} s: {answers[-1].text if answers else 'no answer'}") from None
