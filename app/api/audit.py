"""`/v1/audit`: the audit trail, for admins."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.dependencies import AuditServiceDep
from app.api.history import AuditBody, AuditQuery

router = APIRouter(prefix="/audit", tags=["audit"])


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
