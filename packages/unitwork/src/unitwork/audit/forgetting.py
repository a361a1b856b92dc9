"""Forgetting: erases values and request ids from the audit trail; keeps which fields changed, by whom and when.

On PostgreSQL a role without UPDATE on the trail erases by a SECURITY DEFINER function of the table's owner
(`forget_function`, for a migration). Without that function the entries are updated with the role's own rights.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import BigInteger, bindparam, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.audit.entry import AuditEntry, without_values
from unitwork.backends.registry import backend_of

BATCH: Final = 500
"""Maximum number of entries, and of ids of each kind, in one statement."""
_SIGNATURE: Final = "audit_entries_forget(bigint[], bigint[], bigint[])"
_FUNCTION: Final = """
CREATE FUNCTION audit_entries_forget(records bigint[], actors bigint[], entries bigint[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
    WITH forgotten AS (
        UPDATE audit_entries AS entry SET
            request_id = NULL,
            changes = CASE WHEN entry.record_id = ANY (records) OR entry.id = ANY (entries) THEN
                coalesce((SELECT json_object_agg(field, '{{}}'::json) FROM json_object_keys(entry.changes) AS field),
                    '{{}}'::json)
                ELSE entry.changes END
        WHERE entry.record_id = ANY (records) OR entry.created_by = ANY (actors) OR entry.id = ANY (entries)
        RETURNING 1
    )
    SELECT count(*) FROM forgotten
$$
"""
_CALL: Final = select(
    func.audit_entries_forget(
        *(bindparam(name, type_=ARRAY(BigInteger)) for name in ("records", "actors", "entries")), type_=BigInteger
    )
)
_THERE: Final = text(f"SELECT to_regprocedure('{_SIGNATURE}') IS NOT NULL")


def forget_function(schema: str) -> str:
    """Return the DDL of the function that erases values, and does nothing else, for the schema of the trail's table."""
    quoted = schema.replace('"', '""')
    return _FUNCTION.format(schema=f'"{quoted}"')


async def forget(
    session: AsyncSession,
    *,
    records: Collection[int] = (),
    actors: Collection[int] = (),
    entries: Collection[int] = (),
) -> int:
    """Erase the values of the entries of these records, and of these entries; erase the request ids, which clients
    choose, of both and of the entries by these actors. Return the number of entries. Needs a transaction.
    """
    await session.flush()
    backend = backend_of(session.get_bind().dialect)
    forget_some = _by_hand
    if backend.definer_functions and await session.scalar(_THERE):
        forget_some = _by_function
    forgotten, waiting = 0, [list(records), list(actors), list(entries)]
    while any(waiting):
        forgotten += await forget_some(session, *(ids[:BATCH] for ids in waiting))
        waiting = [ids[BATCH:] for ids in waiting]
    return forgotten


async def _by_function(session: AsyncSession, records: list[int], actors: list[int], entries: list[int]) -> int:
    return int(await session.scalar(_CALL, {"records": records, "actors": actors, "entries": entries}) or 0)


async def _by_hand(session: AsyncSession, records: list[int], actors: list[int], entries: list[int]) -> int:
    forgotten, last = 0, 0
    theirs = or_(
        AuditEntry.record_id.in_(records),
        *([AuditEntry.created_by.in_(actors)] if actors else ()),
        *([AuditEntry.id.in_(entries)] if entries else ()),
    )
    while True:
        found = select(AuditEntry).where(theirs, AuditEntry.id > last).order_by(AuditEntry.id).limit(BATCH)
        batch = list((await session.scalars(found.execution_options(populate_existing=True))).all())
        for entry in batch:
            entry.request_id = None
            if entry.record_id in records or entry.id in entries:
                entry.changes = without_values(entry.changes)
        await session.flush()
        forgotten += len(batch)
        if len(batch) < BATCH:
            return forgotten
        last = batch[-1].id
