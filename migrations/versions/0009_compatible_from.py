"""which releases work with the schema

Revision: 0009, after 0008. From here on each upgrade stores the oldest revision whose code works with the schema
(docs/decisions/0109), and the view `schema_revision` shows it.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    context = op.get_context()
    op.add_column(context.version_table, sa.Column("compatible_from", sa.String(32), nullable=True))
    _show("max(compatible_from)")


def downgrade() -> None:
    # Replaced and not dropped on PostgreSQL, where a view's rights go with it.
    _show("CAST(NULL AS TEXT)" if op.get_context().dialect.name == "postgresql" else None)
    op.drop_column(op.get_context().version_table, "compatible_from")


def _show(compatible_from: str | None) -> None:
    context = op.get_context()
    columns = "max(version_num) AS version_num"
    if compatible_from is not None:
        columns += f", {compatible_from} AS compatible_from"
    if context.dialect.name != "postgresql":
        op.execute("DROP VIEW schema_revision")
    create = "CREATE OR REPLACE VIEW" if context.dialect.name == "postgresql" else "CREATE VIEW"
    selected = f"SELECT {columns} FROM {context.version_table}"  # noqa: S608 - a setting's name
    op.execute(f"{create} schema_revision AS {selected}")
