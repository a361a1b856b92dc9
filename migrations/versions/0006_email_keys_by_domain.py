"""e-mail keys with the domain's A-label

The table stays as it is; keys are computed anew. A key that another account has is left as it was, and logged with the
ids of both: `gatehouse users check` lists them afterwards, and mends them once one of the two has another address.
"""

import logging
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from domain.email_address import email_key

revision: str = "0006"
down_revision: str | Sequence[str] | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

reads_rows = True
"""Rows decide what it sends: it can't be rendered without them."""

BATCH = 1_000
LONGEST = 508
log = logging.getLogger("gatehouse.migrations")
users = sa.table(
    "users",
    sa.column("id", sa.BigInteger),
    sa.column("email", sa.String),
    sa.column("email_key", sa.String),
)
Rule = Callable[[str], str]
Row = tuple[int, str, str]
"""Id, key as it is, key as it should be."""


def upgrade() -> None:
    if context.is_offline_mode():
        return
    # The rule of the code that will use the keys, whichever release that is, not a copy of the first one.
    _rekey(email_key)


def downgrade() -> None:
    _rekey(_folded_as_a_whole)


def _folded_as_a_whole(address: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address).casefold())


def _rekey(rule: Rule) -> None:
    connection = op.get_bind()
    if connection.dialect.name in {"mysql", "mariadb"}:
        # A table that another migration altered on the way here has committed, and a savepoint needs a transaction.
        connection.exec_driver_sql("START TRANSACTION")
    changed, waiting = 0, list[Row]()
    for rows in _differing(connection, rule):
        held = _apply(connection, rows)
        changed += len(rows) - len(held)
        waiting += held
    while waiting:  # a key may be free now, as its holder got another one
        held = _apply(connection, waiting)
        if len(held) == len(waiting):
            break
        changed += len(waiting) - len(held)
        waiting = held
    if changed:
        log.info("e-mail keys computed anew: %d", changed)
    for number, (user, _, key) in enumerate(waiting):
        if number % BATCH == 0:
            holders = _holders(connection, [later[2] for later in waiting[number : number + BATCH]])
        log.warning(
            "the e-mail key of account %d is left as it was: account %s has the one it should have. "
            "Give one of them another address, or purge it; `gatehouse users check` lists them",
            user,
            holders.get(key),
        )


def _differing(connection: sa.Connection, rule: Rule) -> Iterator[list[Row]]:
    """The accounts whose keys are others by this rule, deleted ones too, a page at a time."""
    page = sa.select(users.c.id, users.c.email, users.c.email_key).where(users.c.email.is_not(None))
    page = page.where(users.c.id > sa.bindparam("last")).order_by(users.c.id).limit(BATCH)
    last = -1
    while rows := connection.execute(page, {"last": last}).all():
        last = rows[-1].id
        # An address in ASCII has one key by either rule.
        yield [
            (row.id, row.email_key, key)
            for row in rows
            if not row.email.isascii() and (key := rule(row.email)) != row.email_key and len(key) <= LONGEST
        ]


def _apply(connection: sa.Connection, rows: Sequence[Row]) -> list[Row]:
    """Store the keys that are free; the rows whose keys aren't."""
    held = list[Row]()
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        taken: set[str] = set(_holders(connection, [key for _, _, key in batch]))
        free = list[Row]()
        for row in batch:
            (held if row[2] in taken else free).append(row)
            taken.add(row[2])
        held += _stored(connection, free)
    return held


def _stored(connection: sa.Connection, rows: Sequence[Row]) -> list[Row]:
    """Rows that got no key, as somebody registered with it since we looked."""
    if not rows:
        return []
    update = users.update().where(users.c.id == sa.bindparam("user"), users.c.email_key == sa.bindparam("old"))
    update = update.values(email_key=sa.bindparam("new"))
    try:
        with connection.begin_nested():
            connection.execute(update, [{"user": user, "old": old, "new": new} for user, old, new in rows])
    except sa.exc.IntegrityError:
        if len(rows) == 1:
            return list(rows)
        half = len(rows) // 2
        return [*_stored(connection, rows[:half]), *_stored(connection, rows[half:])]
    return []


def _holders(connection: sa.Connection, keys: Sequence[str]) -> Mapping[str, int]:
    found: dict[str, Any] = {}
    for start in range(0, len(keys), 500):
        holding = sa.select(users.c.email_key, users.c.id).where(users.c.email_key.in_(keys[start : start + 500]))
        found |= {row.email_key: row.id for row in connection.execute(holding)}
    return found
