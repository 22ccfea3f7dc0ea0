"""Webhooks, what is delivered to them, and each attempt at it.

A trigger writes the deliveries of a task's change in the transaction that changes it, so that no statement can forget
one. Nothing refers to `webhook`: a foreign key would make the end of a task wait for whoever deletes a webhook.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)
_id = sa.Uuid(as_uuid=False)
_newest = sa.text("id DESC")

# Who is told of what stands here alone: for tasks, whose trigger calls it, and for whatever else is told by statement.
_TELL = """
CREATE FUNCTION tell_webhooks(
    of_event text, of_tenant text, of_user text, of_type text, of_kind text, happened_at timestamptz, told jsonb
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO webhook_delivery
        (id, webhook_id, tenant_id, event_id, type, at, data, status, claims, failures, next_at, created_at)
    SELECT webhook_delivery_id(), webhook.id, of_tenant, of_event, of_type, happened_at, told, 'pending', 0, 0,
        clock_timestamp(), clock_timestamp()
    FROM webhook
    WHERE tenant_id = of_tenant AND is_enabled
        AND (covers = 'tenant' OR user_id = of_user)
        AND events && ARRAY[of_type, split_part(of_type, '.', 1) || '.*']
        AND (of_kind IS NULL OR cardinality(kinds) = 0 OR of_kind = ANY (kinds))
    ON CONFLICT (webhook_id, event_id) DO NOTHING
$$
"""
# A version 7 UUID, which PostgreSQL makes by itself from 18 on only: in the order of time, as all ids here.
_DELIVERY_ID = """
CREATE FUNCTION webhook_delivery_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT (
        lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
        || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14)
    )::uuid
$$
"""
_TASK_TOLD = """
CREATE FUNCTION task_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM webhook WHERE tenant_id = NEW.tenant_id AND is_enabled) THEN
        PERFORM tell_webhooks(
            'task_' || replace(NEW.id::text, '-', '') || '_' || NEW.event_number,
            NEW.tenant_id,
            NEW.user_id,
            CASE NEW.status WHEN 'running' THEN 'task.started' ELSE 'task.' || NEW.status END,
            NEW.kind,
            clock_timestamp(),
            jsonb_build_object(
                'task_id', NEW.id,
                'kind', NEW.kind,
                'status', NEW.status,
                'user_id', NEW.user_id,
                'attempt', NEW.attempt,
                'error_code', NEW.error_code,
                'parent_id', NEW.parent_id,
                'schedule_id', NEW.schedule_id));
    END IF;
    RETURN NULL;
END $$
"""
_WHEN_TOLD = """
CREATE TRIGGER task_told AFTER UPDATE OF status ON task FOR EACH ROW
WHEN (OLD.status <> NEW.status AND NEW.status <> 'queued')
EXECUTE FUNCTION task_told()
"""


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", _id, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("tenant_id", "user_id")),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        *(sa.Column(name, sa.Text) for name in ("key_id", "session_id")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("url", "description", "covers", "secret")),
        *(sa.Column(name, sa.ARRAY(sa.Text), nullable=False) for name in ("events", "kinds")),
        sa.Column("older_secrets", JSONB, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("error_code", "error_detail")),
        *(sa.Column(name, _moment) for name in ("disabled_at", "failing_since", "held_until", "deleted_at")),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
    )
    is_there = sa.text("deleted_at IS NULL")
    op.create_index("ix_webhook_tenant", "webhook", ["tenant_id", _newest], postgresql_where=is_there)
    op.create_index(
        "uq_webhook_url", "webhook", ["tenant_id", "user_id", "url"], unique=True, postgresql_where=is_there
    )
    op.create_index("ix_webhook_told", "webhook", ["tenant_id"], postgresql_where=sa.text("is_enabled"))
    op.create_index("ix_webhook_deleted", "webhook", ["id"], postgresql_where=sa.text("deleted_at IS NOT NULL"))
    _create_deliveries()
    for statement in (_DELIVERY_ID, _TELL, _TASK_TOLD, _WHEN_TOLD):
        op.execute(statement)


def _create_deliveries() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("id", _id, primary_key=True),
        sa.Column("webhook_id", _id, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("tenant_id", "event_id", "type")),
        sa.Column("at", _moment, nullable=False),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error_code", sa.Text),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("claims", "failures")),
        *(sa.Column(name, _moment) for name in ("next_at", "finished_at")),
        sa.Column("created_at", _moment, nullable=False),
    )
    table = "webhook_delivery"
    op.create_index("uq_webhook_delivery_event", table, ["webhook_id", "event_id"], unique=True)
    op.create_index("ix_webhook_delivery_newest", table, ["webhook_id", _newest])
    op.create_index("ix_webhook_delivery_status", table, ["webhook_id", "status", _newest])
    is_pending = sa.text("status = 'pending'")
    op.create_index("ix_webhook_delivery_due", table, ["webhook_id", "next_at"], postgresql_where=is_pending)
    op.create_index("ix_webhook_delivery_created", table, ["created_at"])
    op.create_table(
        "webhook_attempt",
        sa.Column("delivery_id", sa.Uuid, sa.ForeignKey("webhook_delivery.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", _moment, nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("status_code", sa.Integer),
        *(sa.Column(name, sa.Text) for name in ("error_code", "error_detail", "answer")),
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER task_told ON task")
    for name in (
        "task_told()",
        "tell_webhooks(text, text, text, text, text, timestamptz, jsonb)",
        "webhook_delivery_id()",
    ):
        op.execute(f"DROP FUNCTION {name}")
    for table in ("webhook_attempt", "webhook_delivery", "webhook"):
        op.drop_table(table)
