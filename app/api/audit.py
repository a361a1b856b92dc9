"""`/v1/audit`: the audit trail, for admins."""

from collections.abc import Sequence
from typing import Annotated, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from app.api.dependencies import AuditServiceDep
from app.api.history import HistoryEntry
from app.api.identifiers import IdText
from app.api.user_schemas import utc
from unitwork.audit import AuditEntry

router = APIRouter(prefix="/audit", tags=["audit"])


class AuditQuery(BaseModel):
    """The query of `GET /v1/audit`."""

    model_config = ConfigDict(extra="forbid")

    events: bool = Field(default=False, description="security events alone: logins refused, limits reached, …")
    since: Annotated[AwareDatetime, AfterValidator(utc)] | None = None
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=4096)


class AuditRecord(HistoryEntry):
    """An entry of the trail: a change of a record, or a security event. The `changes` of an event are its facts:
    the client's `address`, `account`, a mark that is the same for the same account, and `by`, the means.
    """

    event: str | None
    record_type: str
    record_id: IdText | None

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        shown = HistoryEntry.of(entry).model_dump()
        return cls(event=entry.event, record_type=entry.record_type, record_id=entry.record_id, **shown)


class AuditBody(BaseModel):
    """One page of the trail, oldest first."""

    items: list[AuditRecord]
    next_cursor: str | None
    has_more: bool

    @classmethod
    def of(cls, entries: Sequence[AuditEntry], next_cursor: str | None) -> Self:
        items = [AuditRecord.of(entry) for entry in entries]
        return cls(items=items, next_cursor=next_cursor, has_more=next_cursor is not None)


@router.get("")
async def get_audit(
    query: Annotated[AuditQuery, Query()], audit: AuditServiceDep, request: Request, response: Response
) -> AuditBody:
    """One page of the audit trail, oldest first: changes of accounts, and security events. The header Link names the
    next page. What a purge has forgotten has no values.
    """
    page = await audit.page(events=query.events, since=query.since, limit=query.limit, cursor=query.cursor)
    if page.next_cursor is not None:
        url = request.url.include_query_params(cursor=page.next_cursor)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return AuditBody.of(page.items, page.next_cursor)
