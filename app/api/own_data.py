"""`/v1/users/me/data`: everything that is kept about oneself."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.api.audit import AuditRecord
from app.api.dependencies import ActingUserDep, ContainerDep
from app.api.identifiers import IdText
from app.api.media_type import JsonRoute
from app.api.user_schemas import UserBody
from domain.key import NEVER
from services.own_data import OwnData

router = APIRouter(prefix="/users/me/data", tags=["users"], route_class=JsonRoute)


class TokenFacts(BaseModel):
    """A token of a login, or a key, without its secret: where and when it was asked for, and what became of it."""

    id: IdText
    kind: str
    name: str | None
    scopes: str | None
    created_at: datetime
    logged_in_at: datetime | None
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    address: str | None
    user_agent: str | None


class MailFacts(BaseModel):
    """A mail, without its secret."""

    id: IdText
    kind: str
    address: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class OwnDataBody(BaseModel):
    """Everything that is kept about an account, oldest first."""

    account: UserBody
    tokens: list[TokenFacts]
    mails: list[MailFacts]
    trail: list[AuditRecord]

    @classmethod
    def of(cls, data: OwnData) -> Self:
        tokens = [
            TokenFacts.model_validate(
                {name: getattr(token, name) for name in TokenFacts.model_fields}
                | {"expires_at": None if token.expires_at >= NEVER else token.expires_at}
            )
            for token in data.tokens
        ]
        mails = [
            MailFacts.model_validate({name: getattr(mail, name) for name in MailFacts.model_fields})
            for mail in data.mails
        ]
        trail = [AuditRecord.of(entry) for entry in data.entries]
        return cls(account=UserBody.model_validate(data.account), tokens=tokens, mails=mails, trail=trail)


@router.get("")
async def export_my_data(acting: ActingUserDep, container: ContainerDep, response: Response) -> OwnDataBody:
    """Return everything that is kept about one's own account, as a file: the account, its logins, keys and mails, and
    what the audit trail has of it. Secrets are in none of it.
    """
    response.headers["Content-Disposition"] = 'attachment; filename="account.json"'
    return OwnDataBody.of(await container.own_data().of(acting.id))
