"""What is seen of a task: its events, its log, what became of a dead one; and an index for each filter of the list.

The trigger writes an event for each change of a task, so that no statement can forget it; the number of an event is
counted in the task's own row, whose lock puts them in order. Nothing refers to `task_event`, which the trigger also
empties: a foreign key would be looked up three times in the life of every task.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)

_FUNCTION = """
CREATE FUNCTION tell_task_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    type_of text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM task_event WHERE task_id = OLD.id;
        RETURN OLD;
    ELSIF TG_OP = 'INSERT' THEN
        type_of := 'task.' || NEW.status;
    ELSIF NEW.status <> OLD.status THEN
        type_of := CASE NEW.status WHEN 'queued' THEN 'task.retried' ELSE 'task.' || NEW.status END;
    ELSIF (NEW.progress_done, NEW.progress_total, NEW.progress_message)
          IS DISTINCT FROM (OLD.progress_done, OLD.progress_total, OLD.progress_message) THEN
        type_of := 'task.progress';
    ELSE
        RETURN NEW;
    END IF;
    NEW.event_number := coalesce(NEW.event_number, 0) + 1;
    INSERT INTO task_event (task_id, number, tenant_id, user_id, type, at, body) VALUES (
        NEW.id, NEW.event_number, NEW.tenant_id, NEW.user_id, type_of, clock_timestamp(),
        jsonb_build_object(
            'status', NEW.status,
            'attempt', NEW.attempt,
            'progress', jsonb_build_object(
                'done', NEW.progress_done, 'total', NEW.progress_total, 'message', NEW.progress_message),
            'error', CASE WHEN NEW.error_code IS NOT NULL THEN jsonb_build_object(
                'code', NEW.error_code, 'detail', coalesce(NEW.error_detail, '')) END,
            'dead_letter', NEW.dead_letter));
    RETURN NEW;
END $$
"""
_TRIGGER = """
CREATE TRIGGER tell_task_event
BEFORE INSERT OR DELETE OR UPDATE OF status, progress_done, progress_total, progress_message ON task
FOR EACH ROW EXECUTE FUNCTION tell_task_event()
"""
_NEWEST = sa.text("id DESC")
_INDEXES = (
    ("ix_task_status", ["tenant_id", "status", _NEWEST], None),
    ("ix_task_kind", ["tenant_id", "kind", _NEWEST], None),
    ("ix_task_priority", ["tenant_id", "priority", _NEWEST], None),
    ("ix_task_error", ["tenant_id", "error_code", _NEWEST], "error_code IS NOT NULL"),
    ("ix_task_dead_letter", ["tenant_id", _NEWEST], "dead_letter"),
    # What failed and nobody has dealt with yet.
    (
        "ix_task_unsettled",
        ["tenant_id", _NEWEST],
        "status = 'failed' AND replayed_as IS NULL AND discarded_at IS NULL",
    ),
)


def upgrade() -> None:
    for name in ("event_number", "log_lines", "log_dropped"):
        op.add_column("task", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.add_column("task", sa.Column("replay_of", sa.Uuid))
    op.add_column("task", sa.Column("replayed_as", sa.Uuid))
    op.add_column("task", sa.Column("discarded_at", _moment))
    for name, columns, condition in _INDEXES:
        op.create_index(name, "task", columns, postgresql_where=sa.text(condition) if condition else None)
    op.create_table(
        "task_event",
        sa.Column("task_id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("xid", sa.BigInteger, nullable=False, server_default=sa.text("pg_current_xact_id()::text::bigint")),
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("body", postgresql.JSONB, nullable=False),
    )
    op.create_index(
        "ix_task_event_tenant", "task_event", ["tenant_id", "xid", "id"], postgresql_include=["user_id", "task_id"]
    )
    op.create_index("ix_task_event_user", "task_event", ["tenant_id", "user_id", "xid", "id"])
    op.execute(_FUNCTION)
    op.execute(_TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER tell_task_event ON task")
    op.execute("DROP FUNCTION tell_task_event")
    op.drop_table("task_event")
    for name, _, _ in _INDEXES:
        op.drop_index(name, "task")
    for name in ("event_number", "log_lines", "log_dropped", "replay_of", "replayed_as", "discarded_at"):
        op.drop_column("task", name)
