"""outbox, inbox, jobs

On PostgreSQL a trigger tells relays of new messages when they are committed.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from unitwork.models import UTCDateTime

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NOTIFY = """
CREATE FUNCTION gatehouse_outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('gatehouse_outbox', '');
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER gatehouse_outbox_notify AFTER INSERT ON outbox_messages
FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_outbox_notify()
"""


def _stamps() -> list[sa.Column[object]]:
    return [
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("updated_by", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
    ]


def upgrade() -> None:
    op.create_table(
        "outbox_messages",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", sa.String(100), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=True),
        sa.Column("trace_parent", sa.String(55), nullable=True),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("publications", sa.Integer(), nullable=False),
        sa.Column("published_at", UTCDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempted_at", UTCDateTime(), nullable=True),
        sa.Column("error", sa.String(300), nullable=True),
        sa.Column("failed_at", UTCDateTime(), nullable=True),
        sa.Column("parked_at", UTCDateTime(), nullable=True),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_messages")),
    )
    op.create_index("ix_outbox_messages_parked_at_due_at", "outbox_messages", ["parked_at", "due_at"])
    op.create_table(
        "inbox_messages",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", sa.String(100), nullable=False),
        sa.Column("done_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_messages")),
    )
    op.create_index("ix_inbox_messages_done_at", "inbox_messages", ["done_at"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(300), nullable=True),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_table(
        "job_file_parts",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(60_000), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_job_file_parts")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_file_parts_job_id"), ondelete="CASCADE"),
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(NOTIFY)
        op.execute(TRIGGER)


def downgrade() -> None:
    op.drop_table("job_file_parts")
    op.drop_table("jobs")
    op.drop_table("inbox_messages")
    op.drop_table("outbox_messages")
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION gatehouse_outbox_notify()")
