"""when a login began, whom an answer tells of, events of the audit trail, and who may forget

Revision: 0008, after 0007. On PostgreSQL other roles lose UPDATE and DELETE on the audit trail, and everything on
`alembic_version`: what default privileges gave them (docs/decisions/0102). They read the revision from the view
`schema_revision`.
"""

import json
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import context, op

from unitwork.audit import forget_function
from unitwork.models import UTCDateTime

revision: str = "0008"
down_revision: str | Sequence[str] | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
# lint: allow index - it is one transaction with the values that it computes from the same tables
# lint: allow type - jobs are deleted after some days, so the table is small

reads_rows = True
"""Rows decide what it sends: it can't be rendered without them."""

NARROW = """
DO $$
DECLARE
    other record;
BEGIN
    FOR other IN
        SELECT DISTINCT c.relname AS name, CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS role
        FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) acl LEFT JOIN pg_roles r ON r.oid = acl.grantee
        WHERE c.relnamespace = current_schema()::regnamespace AND acl.grantee <> c.relowner
            AND c.relname IN ('audit_entries', 'alembic_version', 'schema_revision')
    LOOP
        IF other.name = 'audit_entries' THEN
            EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON audit_entries FROM %s', other.role);
        ELSIF other.name = 'alembic_version' THEN
            EXECUTE format('REVOKE ALL ON alembic_version FROM %s', other.role);
        ELSE
            EXECUTE format('REVOKE ALL ON schema_revision FROM %s', other.role);
            EXECUTE format('GRANT SELECT ON schema_revision TO %s', other.role);
        END IF;
    END LOOP;
END $$
"""


def upgrade() -> None:
    with op.batch_alter_table("tokens") as tokens:
        tokens.add_column(sa.Column("logged_in_at", UTCDateTime(), nullable=True))
    offline = context.is_offline_mode()
    if not offline:
        _login_times(op.get_bind())
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("position", existing_type=sa.Integer(), type_=sa.BigInteger(), existing_nullable=False)
    with op.batch_alter_table("idempotency_keys") as keys:
        keys.add_column(sa.Column("record_id", sa.BigInteger(), nullable=True))
    if not offline:
        _whom_answers_tell_of(op.get_bind())
    op.create_index(op.f("ix_idempotency_keys_record_id"), "idempotency_keys", ["record_id"])
    with op.batch_alter_table("audit_entries") as entries:
        entries.add_column(sa.Column("event", sa.String(63), nullable=True))
    op.create_index(op.f("ix_audit_entries_created_by"), "audit_entries", ["created_by"])
    versions = op.get_context().version_table
    op.execute(f"CREATE VIEW schema_revision AS SELECT max(version_num) AS version_num FROM {versions}")  # noqa: S608 - a setting's name
    if op.get_context().dialect.name == "postgresql":
        schema = "public" if offline else str(op.get_bind().scalar(sa.text("SELECT current_schema()")))
        op.execute(forget_function(schema))
        op.execute(NARROW.replace("alembic_version", versions))


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_entries_forget(bigint[], bigint[], bigint[])")
    op.execute("DROP VIEW schema_revision")
    # The code of before knows no events.
    op.execute(sa.text("DELETE FROM audit_entries WHERE event IS NOT NULL"))
    op.drop_index(op.f("ix_audit_entries_created_by"), table_name="audit_entries")
    with op.batch_alter_table("audit_entries") as entries:
        entries.drop_column("event")
    op.drop_index(op.f("ix_idempotency_keys_record_id"), table_name="idempotency_keys")
    with op.batch_alter_table("idempotency_keys") as keys:
        keys.drop_column("record_id")
    op.execute(sa.text("UPDATE jobs SET position = 2147483647 WHERE position > 2147483647"))
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("position", existing_type=sa.BigInteger(), type_=sa.Integer(), existing_nullable=False)
    with op.batch_alter_table("tokens") as tokens:
        tokens.drop_column("logged_in_at")


def _login_times(connection: sa.Connection) -> None:
    """A login began with the first token of its family that is still there."""
    tokens = sa.table("tokens", sa.column("family"), sa.column("created_at"), sa.column("logged_in_at"))
    connection.execute(tokens.update().values(logged_in_at=tokens.c.created_at))
    begun = sa.select(tokens.c.family, sa.func.min(tokens.c.created_at)).where(tokens.c.family.is_not(None))
    rows = connection.execute(begun.group_by(tokens.c.family).having(sa.func.count() > 1)).all()
    if rows:
        statement = tokens.update().where(tokens.c.family == sa.bindparam("of"))
        statement = statement.values(logged_in_at=sa.bindparam("began"))
        connection.execute(statement, [{"of": of, "began": moment} for of, moment in rows])


def _whom_answers_tell_of(connection: sa.Connection) -> None:
    """Answers are those of a day: few enough to be read."""
    keys = sa.table("idempotency_keys", sa.column("id"), sa.column("answer", sa.JSON), sa.column("record_id"))
    told = []
    for id_, answer in connection.execute(sa.select(keys.c.id, keys.c.answer)):
        found = json.loads(answer) if isinstance(answer, str) else answer
        record = str((found.get("body") or {}).get("id", "")) if isinstance(found, dict) else ""
        if record.isdecimal():
            told.append({"row": id_, "record": int(record)})
    if told:
        connection.execute(
            keys.update().where(keys.c.id == sa.bindparam("row")).values(record_id=sa.bindparam("record")), told
        )
