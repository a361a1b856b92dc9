"""refresh tokens, and the family of each login

Revision: 0003.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from unitwork.models import UTCDateTime

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
# lint: allow index - tokens are few before there are logins


def upgrade() -> None:
    with op.batch_alter_table("tokens") as tokens:
        # What is there was issued by a command: an access token without family.
        tokens.add_column(sa.Column("kind", sa.String(16), nullable=False, server_default="access"))
        tokens.add_column(sa.Column("family", sa.String(32), nullable=True))
        tokens.add_column(sa.Column("rotated_at", UTCDateTime(), nullable=True))
    with op.batch_alter_table("tokens") as tokens:
        tokens.alter_column("kind", existing_type=sa.String(16), existing_nullable=False, server_default=None)
    op.create_index(op.f("ix_tokens_family"), "tokens", ["family"])


def downgrade() -> None:
    # The code of before would take a refresh token for an access token.
    op.execute(sa.text("DELETE FROM tokens WHERE kind <> 'access'"))
    op.drop_index(op.f("ix_tokens_family"), table_name="tokens")
    with op.batch_alter_table("tokens") as tokens:
        tokens.drop_column("rotated_at")
        tokens.drop_column("family")
        tokens.drop_column("kind")
