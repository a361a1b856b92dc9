"""`gatehouse users`: create, list, show, data, set-password, delete, restore, purge; for files see `app.cli.user_csv`,
for `check` `app.cli.contact_check`, for `invite`, `verify` and `recover` `app.cli.address_proofs`."""

from json import dumps
from typing import Annotated

import typer

from app.cli import address_proofs, contact_check, user_csv
from app.cli.audit import entry_record
from app.cli.command import JsonFlag, container_command
from app.cli.output import USER_COLUMNS, print_json, print_table, say, shown_time, user_record
from app.cli.prompts import confirm, secret
from app.cli.region import Region
from containers import Container
from domain import Role, User, UserChanges, UserStatus
from repositories import UserFilter

application = typer.Typer(no_args_is_help=True, help="Accounts.")


MAIL_FACTS = ("id", "kind", "address", "created_at", "expires_at", "used_at", "revoked_at")
TOKEN_FACTS = (
    *("id", "kind", "name", "scopes", "created_at", "logged_in_at", "last_used_at", "expires_at", "revoked_at"),
    *("address", "user_agent"),
)
AnyUser = Annotated[str, typer.Argument(metavar="USER", help="Id, e-mail address or phone number.")]


@container_command(application, "create")
async def create(
    container: Container,
    email: Annotated[str | None, typer.Option(help="E-mail address.")] = None,
    phone: Annotated[str | None, typer.Option(help="Phone number.")] = None,
    display_name: Annotated[str | None, typer.Option(help="What to call the person.")] = None,
    role: Annotated[Role, typer.Option(help="What the account may do.")] = Role.USER,
    region: Region = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password; not on a terminal, read one line of stdin.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Create an account. It needs an e-mail address or a phone number."""
    changes: UserChanges = {"role": role}
    if email is not None:
        changes["email"] = email
    if phone is not None:
        changes["phone"] = phone
    if display_name is not None:
        changes["display_name"] = display_name
    given = secret("Password", twice=True) if password else None
    _print(await container.user_service().create(changes, password=given, region=region), json)


@container_command(application, "list")
async def list_users(
    container: Container,
    email: Annotated[str | None, typer.Option(help="The whole address.")] = None,
    phone: Annotated[str | None, typer.Option(help="The whole number, E.164.")] = None,
    name: Annotated[str | None, typer.Option(help="Part of the display name.")] = None,
    status: Annotated[UserStatus | None, typer.Option(help="Only these.")] = None,
    sort: Annotated[str, typer.Option(help="A column; `-` before it for descending.")] = "-created_at",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    include_deleted: Annotated[bool, typer.Option("--include-deleted")] = False,
    json: JsonFlag = False,
) -> None:
    """List accounts, a page at a time."""
    page = await container.user_service().list(
        UserFilter(email=email, phone=phone, name=name, status=status),
        order=sort,
        limit=limit,
        cursor=cursor,
        include_deleted=include_deleted,
    )
    records = [user_record(user) for user in page.items]
    if json:
        print_json({"items": records, "next_cursor": page.next_cursor, "has_more": page.has_more})
        return
    print_table(USER_COLUMNS, records)
    if page.next_cursor is not None:
        say(f"more: --cursor {page.next_cursor}")


@container_command(application, "show")
async def show(
    container: Container,
    user: AnyUser,
    include_deleted: Annotated[bool, typer.Option("--include-deleted", help="A deleted one too.")] = False,
    json: JsonFlag = False,
) -> None:
    """Show one account."""
    record = user_record(await container.user_service().find(user, include_deleted=include_deleted))
    if json:
        print_json(record)
    else:
        print_table(("field", "value"), [{"field": name, "value": value} for name, value in record.items()])


@container_command(application, "data")
async def data(container: Container, user: AnyUser) -> None:
    """Print everything that is kept about an account as JSON, for its owner who asks. Secrets are in none of it."""
    account = await container.user_service().find(user)
    found = await container.own_data().of(account.id)
    kept = {
        "account": user_record(found.account),
        "tokens": [{name: _shown(getattr(token, name)) for name in TOKEN_FACTS} for token in found.tokens],
        "mails": [{name: _shown(getattr(mail, name)) for name in MAIL_FACTS} for mail in found.mails],
        "trail": [entry_record(entry) for entry in found.entries],
    }
    print(dumps(kept, ensure_ascii=False, indent=2, default=shown_time))


@container_command(application, "set-password")
async def set_password(container: Container, user: AnyUser, json: JsonFlag = False) -> None:
    """Set a new password and end every login of the account. Asks for it; not on a terminal, reads a line of stdin."""
    account = await container.user_service().find(user)
    await container.auth_service().set_password(account.id, secret("Password", twice=True))
    if json:
        print_json({"password_set": str(account.id)})
    else:
        say(f"password of {account.id} set; every login has ended")


@container_command(application, "delete")
async def delete(container: Container, user: AnyUser, json: JsonFlag = False) -> None:
    """Delete an account. It keeps its e-mail address and phone number, and can be restored until it is purged."""
    users = container.user_service()
    _print(await users.delete((await users.find(user)).id), json)


@container_command(application, "restore")
async def restore(container: Container, user: AnyUser, json: JsonFlag = False) -> None:
    """Undo a delete."""
    users = container.user_service()
    _print(await users.restore((await users.find(user, include_deleted=True)).id), json)


@container_command(application, "purge")
async def purge(
    container: Container,
    user: AnyUser,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask. Nothing is asked where stdin is no terminal.")] = False,
    json: JsonFlag = False,
) -> None:
    """Delete an account, deleted before or not, and all that is known of its person. Nothing brings it back."""
    users = container.user_service()
    account = await users.find(user, include_deleted=True)
    if not yes:
        confirm(f"Purge account {account.id} ({account.email or account.phone})?")
    await users.purge(account.id)
    if json:
        print_json({"purged": str(account.id)})
    else:
        say(f"purged {account.id}")


address_proofs.register(application)
contact_check.register(application)
user_csv.register(application)


def _shown(value: object) -> object:
    return str(value) if isinstance(value, int) else shown_time(value)


def _print(user: User, json: bool) -> None:
    record = user_record(user)
    print_json(record) if json else print_table(USER_COLUMNS, [record])
