"""`/v1/auth/verify`, `/recover`, `/invitation`: requests for mails with links, and what these links do."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from app.api.auth_schemas import Password
from app.api.dependencies import AddressProofsDep, ClientAddressDep
from app.api.identifiers import UserId
from app.api.media_type import JsonRoute
from app.api.user_schemas import storable
from domain.mail import MailKind

router = APIRouter(tags=["auth"], route_class=JsonRoute)

Contact = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(storable)]
Secret = Annotated[SecretStr, Field(max_length=128, description="what the mail's link has behind its #")]


class MailRequest(BaseModel):
    """An e-mail address or a phone number (with country code) of the account that is to get a mail."""

    model_config = ConfigDict(extra="forbid")

    login: Contact


class MailedSecret(BaseModel):
    """The secret of a mail."""

    model_config = ConfigDict(extra="forbid")

    token: Secret


class NewPassword(MailedSecret):
    """The secret of a mail, and the password to set."""

    password: Password


class Accepted(BaseModel):
    """The one answer to whoever asks for a mail: it tells nothing about an account."""

    status: Literal["accepted"] = "accepted"


@router.post("/auth/verify/request", status_code=HTTPStatus.ACCEPTED)
async def request_verification(body: MailRequest, proofs: AddressProofsDep, address: ClientAddressDep) -> Accepted:
    """Ask for a mail whose link proves the account's e-mail address, or the one that is to replace it."""
    await proofs.request(MailKind.VERIFY, body.login, address=address)
    return Accepted()


@router.post("/auth/verify", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def verify(body: MailedSecret, proofs: AddressProofsDep) -> None:
    """Prove an address by the secret of the mail that it got; it counts once. A new address replaces the account's by
    it, and every login ends.
    """
    await proofs.verify(body.token.get_secret_value())


@router.post("/auth/recover", status_code=HTTPStatus.ACCEPTED)
async def recover(body: MailRequest, proofs: AddressProofsDep, address: ClientAddressDep) -> Accepted:
    """Ask for a mail whose link lets its reader set a new password."""
    await proofs.request(MailKind.RECOVER, body.login, address=address)
    return Accepted()


@router.post("/auth/recover/confirm", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def confirm_recovery(body: NewPassword, proofs: AddressProofsDep) -> None:
    """Set a new password by the secret of a mail, which counts once, and end every login of the account."""
    await proofs.recover(body.token.get_secret_value(), body.password.get_secret_value())


@router.post("/auth/invitation/accept", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def accept_invitation(body: NewPassword, proofs: AddressProofsDep) -> None:
    """Accept an invitation: set the first password by the secret of the mail, which counts once."""
    await proofs.accept(body.token.get_secret_value(), body.password.get_secret_value())


@router.post("/users/{user_id}/invitation", status_code=HTTPStatus.ACCEPTED)
async def invite(user_id: UserId, proofs: AddressProofsDep) -> Accepted:
    """Invite the owner of an account without password, or once more: former invitations don't count any longer. 409
    when the account has a password.
    """
    await proofs.request_for(MailKind.INVITE, user_id)
    return Accepted()


@router.delete("/users/{user_id}/invitation", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
async def revoke_invitation(user_id: UserId, proofs: AddressProofsDep) -> None:
    """Revoke the invitations of an account. No error when there is none."""
    await proofs.revoke_invitations(user_id)
