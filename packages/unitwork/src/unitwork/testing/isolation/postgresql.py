"""PostgreSQL under one outer transaction: the driver's transactions are savepoints in it.

asyncpg does so by itself once its connection has a transaction. This module adds what savepoints lack: deferred
constraints are checked on release, and a rollback also ends the savepoint.
"""

import asyncio
import re
from contextlib import suppress
from typing import Any, Final

import asyncpg

from unitwork.backends.asyncpg_connections import StrictCommitConnection
from unitwork.call_site import asking_site
from unitwork.testing.errors import NeedsOwnDatabase
from unitwork.testing.isolation.finish import finish
from unitwork.testing.isolation.steps import refuse_end

_OURS: Final = re.compile(r"(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO) (__asyncpg_savepoint_\w+);")
"""The statements that asyncpg sends for a nested transaction."""
_CHECK_CONSTRAINTS: Final = """
SET CONSTRAINTS ALL IMMEDIATE;
DO $unitwork$
DECLARE
    deferred text;
BEGIN
    SELECT string_agg(format('%I.%I', nspname, conname), ', ') INTO deferred FROM (
        SELECT n.nspname, c.conname
        FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
        WHERE NOT pg_is_other_temp_schema(n.oid) AND has_schema_privilege(n.oid, 'USAGE')
        GROUP BY n.nspname, c.conname
        HAVING bool_and(c.condeferred)
    ) AS named;
    IF deferred IS NOT NULL THEN
        EXECUTE 'SET CONSTRAINTS ' || deferred || ' DEFERRED';
    END IF;
END
$unitwork$;
"""
"""SQL that checks all constraints as COMMIT does, and restores their declared modes for the next transaction."""


class IsolatedConnection(StrictCommitConnection):
    """A connection with an outer transaction that is never committed, and one virtual transaction at a time inside."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._isolation: str | None = None
        self._begun = False
        self._savepoint: str | None = None
        self._reads_only = False

    async def begin_outer(self, isolation: str) -> None:
        """Begin the outer transaction; `isolation` is the server's default level, as asyncpg spells it."""
        await super().transaction().start()
        await super().execute("SET TRANSACTION READ WRITE")  # the kit's databases are read-only by default
        self._begun, self._isolation = True, isolation

    def transaction(self, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False) -> Any:
        """Begin a transaction as asyncpg does. Raises `NeedsOwnDatabase` for another isolation level than the outer
        one's.
        """
        if isolation not in {None, self._isolation}:
            raise NeedsOwnDatabase(f"isolation level {isolation} was asked for", asking_site() or "the driver")
        if self._savepoint is None:
            self._reads_only = readonly
        return super().transaction()

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 - asyncpg's signature
        """Send a statement as asyncpg does, but replace the beginning and end of a virtual transaction."""
        ours = _OURS.fullmatch(query)
        if ours is None:
            return await self._others(query, *args, timeout=timeout)
        word, name = ours.groups()
        if self._savepoint is None and word == "SAVEPOINT":
            try:
                return await finish(self._begin(name))
            except asyncio.CancelledError:
                # A cancelled caller assumes that the transaction never began, and won't end it.
                if self._savepoint == name:
                    await finish(self._roll_back(name))
                raise
        if self._savepoint != name:
            return await super().execute(query, timeout=timeout)
        return await finish(self._commit(name) if word == "RELEASE SAVEPOINT" else self._roll_back(name))

    async def _others(self, query: str, *args: Any, timeout: float | None) -> str:  # noqa: ASYNC109 - as above
        if self._begun:
            refuse_end(query)
        status = await super().execute(query, *args, timeout=timeout)
        if self._begun and not self.is_in_transaction():
            raise NeedsOwnDatabase("a script ended the transaction", asking_site() or "the driver")
        return status

    async def _begin(self, name: str) -> str:
        reading = "SET LOCAL transaction_read_only = on;" if self._reads_only else ""
        try:
            status = await super().execute(f"SAVEPOINT {name};{reading}")
        except asyncpg.InFailedSQLTransactionError as error:
            what = "a statement sent past SQLAlchemy failed, and with it the transaction that the test is in"
            raise NeedsOwnDatabase(what, asking_site() or "the driver") from error
        self._savepoint = name
        return status

    async def _commit(self, name: str) -> str:
        check = "" if self._reads_only else _CHECK_CONSTRAINTS
        try:
            status = await super().execute(f"{check}RELEASE SAVEPOINT {name};")
        except BaseException:
            with suppress(Exception):  # keep the error that refused the commit
                await self._roll_back(name)
            raise
        self._savepoint = None
        return status

    async def _roll_back(self, name: str) -> str:
        self._savepoint = None
        return await super().execute(f"ROLLBACK TO {name}; RELEASE SAVEPOINT {name};")
