"""names as they are searched

Revision: 0007, after 0005.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import context, op

from domain.search_key import search_key

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

reads_rows = True
"""Rows decide what it sends: it can't be rendered without them."""

BATCH = 1000


def upgrade() -> None:
    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("name_key", sa.String(3600), nullable=True))
    if not context.is_offline_mode():
        _fill(op.get_bind())


def downgrade() -> None:
    with op.batch_alter_table("users") as users:
        users.drop_column("name_key")


def _fill(connection: sa.Connection) -> None:
    users = sa.table(
        "users", sa.column("id", sa.BigInteger), sa.column("display_name", sa.String), sa.column("name_key", sa.String)
    )
    named = sa.select(users.c.id, users.c.display_name).where(users.c.display_name.is_not(None)).order_by(users.c.id)
    store = users.update().where(users.c.id == sa.bindparam("row")).values(name_key=sa.bindparam("key"))
    last = None
    while True:
        page = named if last is None else named.where(users.c.id > last)
        rows = connection.execute(page.limit(BATCH)).all()
        if not rows:
            return
        connection.execute(store, [{"row": id_, "key": search_key(name)} for id_, name in rows])
        last = rows[-1][0]
