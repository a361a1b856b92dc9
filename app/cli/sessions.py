"""`gatehouse sessions top`: the activity of a running server's sessions, as in `/monitor`, in the terminal."""

import json as json_text
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.cli.command import JsonFlag
from app.cli.exit_codes import ExitCode
from app.cli.output import print_json, say
from app.cli.prompts import secret
from containers import Container

application = typer.Typer(no_args_is_help=True, help="Sessions of a running server.")

WAIT = 10.0
"""Timeout in seconds of each read from the server."""


@application.callback()
def group() -> None:
    """Sessions of a running server."""


@application.command("top")
def top(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(help="The server; else host and port as configured.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Show one picture, and stop.")] = False,
    json: JsonFlag = False,
) -> int:
    """Show what the sessions of a server do, until interrupted. Reads an admin's access token from stdin."""
    settings = (Container() if context.obj is None else context.obj).settings()
    base = (url or f"http://{settings.host}:{settings.port}").rstrip("/")
    if not base.startswith(("http://", "https://")):
        msg = "--url begins with http:// or https://"
        raise typer.BadParameter(msg)
    token = secret("access token")
    try:
        if once or json:
            seen = json_text.loads(_ask(base, "/v1/monitor", token).read())
            if json:
                print_json(seen)
            else:
                Console().print(_drawn(seen))
            return ExitCode.DONE
        with Live(console=Console(), auto_refresh=False, screen=True) as live:
            for seen in _pictures(base, token):
                live.update(_drawn(seen), refresh=True)
    except urllib.error.HTTPError as error:
        reason = {401: "the token doesn't count", 403: "the account is no admin's"}.get(
            error.code, f"status {error.code}"
        )
        say(f"error: {base} refused: {reason}")
        return ExitCode.FAILED
    except (OSError, ValueError) as error:
        say(f"error: {base} doesn't answer as a server of ours: {type(error).__name__}; say where it is with --url")
        return ExitCode.FAILED
    return ExitCode.DONE


def _ask(base: str, path: str, token: str) -> Any:
    asked = urllib.request.Request(base + path, headers={"Authorization": f"Bearer {token.strip()}"})  # noqa: S310 - checked
    return urllib.request.urlopen(asked, timeout=WAIT)  # noqa: S310 - as above


def _pictures(base: str, token: str) -> Iterator[dict[str, Any]]:
    """Yield each state that the feed sends; reconnect when it ends."""
    while True:
        with _ask(base, "/v1/monitor/feed", token) as feed:
            for line in feed:
                if line.startswith(b"data:"):
                    yield json_text.loads(line[5:])


def _drawn(seen: dict[str, Any]) -> Group:
    pool, totals = seen["pool"], seen["totals"]
    now = seen["history"][-1] if seen["history"] else {"statements": 0, "p95": 0}
    found = totals["findings"]
    head = Text(
        f"process {seen['process']}   {now['statements']:g} statements/s   p95 {now['p95']:g} ms   "
        f"pool {pool['in_use']}/{pool['capacity']}, {pool['waiting']} wait   {len(seen['open'])} open\n"
        f"slow {found['slow_sql']}   N+1 {found['repeated_sql']}   leaks {found['session_leak']}   "
        f"idle {found['idle_in_transaction']}   deadlocks {found['deadlock']}   failed {totals['failed']}"
        f"{_replicas(seen)}",
        style="bold",
    )
    units = Table(
        "unit", "state", "age s", "statements", "opened at", "awaits at", title="Open units", title_justify="left"
    )
    for unit in seen["open"]:
        units.add_row(*_cells(unit, "name", "state", "age", "statements", "opened_at", "awaits_at"))
    trouble = Table("what", "where", "text", title="Needs a look", title_justify="left")
    for finding in (*seen["trouble"], *seen["repeated"], *seen["slow"]):
        trouble.add_row(*_cells(finding, "kind", "call_site", "text"))
    statements = Table(
        "statement", "count", "seconds", "mean ms", "line", title="Where the time goes", title_justify="left"
    )
    for shape in seen["statements"][:10]:
        statements.add_row(*_cells(shape, "statement", "count", "seconds", "mean_ms", "call_site"))
    return Group(head, units, trouble, statements)


def _replicas(seen: dict[str, Any]) -> str:
    """Return a line for each replica, and the number of units by server; empty without replicas."""
    if not seen["replicas"]:
        return ""
    lines = [f"units at {', '.join(f'{server} {count}' for server, count in sorted(seen['reads'].items()))}"]
    for replica in seen["replicas"]:
        state = f"{replica['reads']} reads, {replica['lag']} s old" if replica["used"] else replica["reason"]
        lines.append(f"replica {replica['address']}: {state}")
    return "".join(f"\n{line}" for line in lines)


def _cells(line: dict[str, Any], *names: str) -> Iterator[Text]:
    """Yield the values as literal text, without markup; long ones truncated."""
    for name in names:
        value = line.get(name)
        text = Text("" if value is None else str(value), no_wrap=True, overflow="ellipsis")
        text.truncate(90)
        yield text
