"""Clients that change accounts slowly, in a process of their own: what they cost is not the measuring program's.

Reads address, token, ids of accounts and seconds as JSON from standard input; writes every answer as JSON.
"""

import asyncio
import json
import os
import sys
import time

from tests.faults.http_client import HttpClient

Told = tuple[int, str, str, float]
"""Status, code, Retry-After and seconds of an answer."""


async def client(address: str, token: str, user: str, end: float) -> list[Told]:
    """Change one account again and again, and come back when a refusal says."""
    asking, version, answers = HttpClient(address, token), 1, list[Told]()
    while time.monotonic() < end:
        change = {"display_name": f"slow {version}"}
        answer = await asking.ask("PATCH", f"/v1/users/{user}", change, If_Match=f'"{version}"')
        again = answer.headers.get("retry-after", "")
        answers.append((answer.status, answer.code, again, answer.took))
        if answer.status == 200:
            version += 1
        else:
            await asyncio.sleep(float(again or "0.1"))
    await asking.close()
    return answers


async def main() -> None:
    given = json.loads(sys.stdin.readline())
    end = time.monotonic() + given["seconds"]
    told = await asyncio.gather(*(client(given["address"], given["token"], user, end) for user in given["users"]))
    print(json.dumps([answer for answers in told for answer in answers]))


if __name__ == "__main__":
    os.nice(10)  # clients have machines of their own
    asyncio.run(main())
