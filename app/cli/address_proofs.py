"""`gatehouse users invite|verify|recover`: the administrative half of invitations, verification and recovery."""

from typing import Annotated

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.exit_codes import ExitCode
from app.cli.output import print_json, say
from containers import Container
from domain import Role, UserChanges
from domain.mail import MailKind
from repositories.errors import UserNotFound

AnyUser = Annotated[str, typer.Argument(metavar="USER", help="Id, e-mail address or phone number.")]


def register(application: typer.Typer) -> None:
    """Add the commands to `gatehouse users`."""

    @container_command(application, "invite")
    async def invite(
        container: Container,
        email: Annotated[str, typer.Argument(help="E-mail address, of a new account or of one without password.")],
        role: Annotated[Role, typer.Option(help="What a new account may do.")] = Role.USER,
        display_name: Annotated[str | None, typer.Option(help="What to call a new account's person.")] = None,
        locale: Annotated[str | None, typer.Option(help="Language of mails to a new account: de, de-AT.")] = None,
        revoke: Annotated[bool, typer.Option("--revoke", help="Revoke the invitations that were mailed.")] = False,
        json: JsonFlag = False,
    ) -> None:
        """Mail an invitation, by which its reader chooses a password. A former one doesn't count any longer."""
        users, proofs = container.user_service(), container.address_proofs()
        if revoke:
            count = await proofs.revoke_invitations((await users.find(email)).id)
            print_json({"revoked": count}) if json else say(f"revoked: {count}")
            return
        try:
            user_id = (await users.find(email)).id
            await proofs.request_for(MailKind.INVITE, user_id)
        except UserNotFound:
            changes: UserChanges = {"email": email, "role": role, "display_name": display_name, "locale": locale}
            user_id = (await users.store(await users.draft(changes), invite=True)).id
        print_json({"invited": str(user_id)}) if json else say(f"invited {user_id}")

    @container_command(application, "verify")
    async def verify(container: Container, user: AnyUser, json: JsonFlag = False) -> int:
        """Mark the e-mail address of an account as proven, without a mail."""
        account = await container.user_service().find(user)
        verified = await container.address_proofs().mark_verified(account.id)
        when = verified.email_verified_at
        if when is None:
            say("error: the account has no e-mail address; give it one first")
            return ExitCode.FAILED
        print_json({"verified": str(account.id)}) if json else say(f"verified at {when:%Y-%m-%d %H:%M} UTC")
        return ExitCode.DONE

    @container_command(application, "recover")
    async def recover(container: Container, user: AnyUser, json: JsonFlag = False) -> int:
        """Mail the owner of an account a link by which a new password is set."""
        account = await container.user_service().find(user)
        if not await container.address_proofs().request_for(MailKind.RECOVER, account.id):
            say("error: the account is suspended, or has no e-mail address or no password; invite its owner instead")
            return ExitCode.FAILED
        print_json({"mailed": str(account.id)}) if json else say(f"mailed {account.id}")
        return ExitCode.DONE
