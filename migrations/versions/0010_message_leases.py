"""leases of messages, and the moment from which a worker may begin one

Revision: 0010, after 0009. It only adds: the previous release's workers begin messages as before, without a lease.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from unitwork.models import UTCDateTime

revision: str = "0010"
down_revision: str | Sequence[str] | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.batch_alter_table("outbox_messages") as messages:
        messages.add_column(sa.Column("not_before", UTCDateTime(), nullable=True))
        messages.add_column(sa.Column("leased_until", UTCDateTime(), nullable=True))
        messages.add_column(sa.Column("leased_by", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("outbox_messages") as messages:
        messages.drop_column("leased_by")
        messages.drop_column("leased_until")
        messages.drop_column("not_before")
