"""`gatehouse keys`: create, list, revoke."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.output import print_json, print_table, say, shown_time
from containers import Container
from domain import Token
from domain.key import NEVER, Scope

application = typer.Typer(no_args_is_help=True, help="Keys of programs.")

COLUMNS = ("id", "name", "scopes", "service", "created_at", "expires_at", "last_used_at")

AnyUser = Annotated[str, typer.Argument(metavar="USER", help="Id, e-mail address or phone number.")]


@container_command(application, "create")
async def create(
    container: Container,
    user: AnyUser,
    name: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; may be given several times.")],
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="How long it counts; else until revoked.")] = None,
    json: JsonFlag = False,
) -> None:
    """Make a service key, which acts for the account within its scopes. It is printed once and stored nowhere."""
    account = await container.user_service().find(user)
    lifetime = None if days is None else timedelta(days=days)
    key, secret = await container.access_service().issue_key(
        account.id, name=name, scopes=scope, lifetime=lifetime, service=True
    )
    if json:
        print_json(_record(key) | {"secret": secret})
        return
    print(secret)
    say(f"key {key.id} counts {'until it is revoked' if days is None else f'for {days} days'}")


@container_command(application, "list")
async def list_keys(container: Container, user: AnyUser, json: JsonFlag = False) -> None:
    """List the keys of an account that are valid, oldest first."""
    account = await container.user_service().find(user)
    records = [_record(key) for key in await container.access_service().keys(account.id)]
    print_json({"items": records}) if json else print_table(COLUMNS, records)


@container_command(application, "revoke")
async def revoke(
    container: Container,
    user: AnyUser,
    key: Annotated[int, typer.Argument(help="Id of the key, as `keys list` shows it.")],
    json: JsonFlag = False,
) -> None:
    """Refuse a key of an account from now on. Who has the key's secret needs no id: `gatehouse tokens revoke`."""
    account = await container.user_service().find(user)
    await container.access_service().revoke_key(account.id, key)
    print_json({"revoked": str(key)}) if json else say(f"revoked: {key}")


def _record(key: Token) -> dict[str, Any]:
    record: dict[str, Any] = {name: shown_time(getattr(key, name)) for name in COLUMNS}
    return record | {
        "id": str(key.id),
        "scopes": key.scopes,
        "expires_at": None if key.expires_at >= NEVER else shown_time(key.expires_at),
    }
