"""`gatehouse tokens`: issue, revoke, list, end; keys of programs are in `app.cli.keys`."""

import sys
from datetime import timedelta
from typing import Annotated

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.exit_codes import ExitCode
from app.cli.output import print_json, print_table, say, shown_time
from app.cli.prompts import asking
from containers import Container

application = typer.Typer(no_args_is_help=True, help="Access tokens, and the logins of accounts.")


@container_command(application, "issue")
async def issue(
    container: Container,
    user: Annotated[str, typer.Argument(help="Id, e-mail address or phone number.")],
    hours: Annotated[
        float | None, typer.Option(min=0.001, max=87_600, help="How long it counts; else as configured.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Issue an access token. It is printed once and stored nowhere."""
    account = await container.user_service().find(user)
    lifetime = None if hours is None else timedelta(hours=hours)
    token, secret = await container.auth_service().issue(account.id, lifetime=lifetime)
    if json:
        print_json({"access_token": secret, "token_type": "bearer", "expires_at": token.expires_at.isoformat()})
        return
    print(secret)
    say(f"counts until {token.expires_at:%Y-%m-%d %H:%M} UTC")


LOGIN_COLUMNS = ("id", "created_at", "last_used_at", "expires_at", "address", "user_agent")

AnyUser = Annotated[str, typer.Argument(metavar="USER", help="Id, e-mail address or phone number.")]


@container_command(application, "list")
async def list_logins(container: Container, user: AnyUser, json: JsonFlag = False) -> None:
    """List the logins of an account that are in force, last used first, with the device that each is from."""
    account = await container.user_service().find(user)
    logins = await container.access_service().logins(account.id)
    records = [{name: shown_time(getattr(login, name)) for name in LOGIN_COLUMNS} for login in logins]
    print_json({"items": records}) if json else print_table(LOGIN_COLUMNS, records)


@container_command(application, "end")
async def end(
    container: Container,
    user: AnyUser,
    login: Annotated[
        str | None, typer.Option(help="Id of the one to end, as `tokens list` shows it; else all.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """End a login of an account, or all of them. Keys stay."""
    account = await container.user_service().find(user)
    access = container.access_service()
    await (access.end_logins(account.id) if login is None else access.end_login(account.id, login))
    print_json({"ended": login or "all"}) if json else say(f"ended: {login or 'every login'}")


@container_command(application, "revoke")
async def revoke(container: Container, json: JsonFlag = False) -> int:
    """Refuse a token from now on. The token is read from stdin, as arguments are visible to others."""
    if sys.stdin.isatty():
        say("paste the token:")
    with asking():
        token = sys.stdin.readline().strip()
    if await container.auth_service().revoke(token):
        print_json({"revoked": True}) if json else say("revoked")
        return ExitCode.DONE
    say("error: no such token, or it was revoked before")
    return ExitCode.FAILED
