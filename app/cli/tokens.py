"""`gatehouse tokens`: issue, revoke."""

import sys
from datetime import timedelta
from typing import Annotated

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.exit_codes import ExitCode
from app.cli.output import print_json, say
from app.cli.prompts import asking
from containers import Container

application = typer.Typer(no_args_is_help=True, help="Access tokens.")


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
