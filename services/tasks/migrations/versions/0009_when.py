"""When a task may begin, at the latest and after which others, and how it is tried again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_LATE = "status = 'queued' AND started_at IS NULL AND start_before IS NOT NULL"
_UNSENT = "status = 'queued' AND enqueued_at IS NULL"
_FREE = f"{_UNSENT} AND waiting_for = 0 AND NOT waits_for_key"
_HAS_KEY = "concurrency_key IS NOT NULL AND status IN ('queued', 'running') AND NOT waits_for_key"
_WAITS_FOR_KEY = "concurrency_key IS NOT NULL AND status = 'queued' AND waits_for_key"
_OF_KEYS = ("concurrency_key", "waits_for_key")
_COLUMNS = ("retry", "start_before", "waiting_for", "dependency_failed", "parent_id", *_OF_KEYS)

# What waits for a task is told in the transaction that ends it, whoever does: a worker, a caller, the reconciler.
# Nothing is ended here, so that no chain of tasks goes through as many triggers.
# A message that one of them was sent by who knew of no waiting was refused: without it it is sent again.
# Who submits to a key takes its lock too.
_ENDED = """
CREATE FUNCTION task_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> 'succeeded' THEN
        UPDATE task SET dependency_failed = true, version = version + 1
        WHERE status = 'queued' AND NOT dependency_failed
            AND id IN (SELECT task_id FROM task_dependency WHERE after_id = NEW.id AND needs_success);
    END IF;
    WITH met AS (
        DELETE FROM task_dependency
        WHERE after_id = NEW.id AND (NEW.status = 'succeeded' OR NOT needs_success)
        RETURNING task_id
    )
    UPDATE task
    SET waiting_for = waiting_for - 1, enqueued_at = NULL, run_at = greatest(run_at, now()), version = version + 1
    WHERE status = 'queued' AND id IN (SELECT task_id FROM met);
    IF NEW.concurrency_key IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(
            hashtextextended('tasks.key:' || NEW.tenant_id || ':' || NEW.concurrency_key, 0)
        );
        UPDATE task
        SET waits_for_key = false, enqueued_at = NULL, run_at = greatest(run_at, now()), version = version + 1
        WHERE id = (
            SELECT id FROM task
            WHERE tenant_id = NEW.tenant_id AND concurrency_key = NEW.concurrency_key
                AND status = 'queued' AND waits_for_key
            ORDER BY id LIMIT 1
        ) AND NOT EXISTS (
            SELECT FROM task
            WHERE tenant_id = NEW.tenant_id AND concurrency_key = NEW.concurrency_key
                AND status IN ('queued', 'running') AND NOT waits_for_key
        );
    END IF;
    RETURN NULL;
END $$
"""
_WHEN_ENDED = """
CREATE TRIGGER task_ended AFTER UPDATE OF status ON task FOR EACH ROW
WHEN (OLD.status IN ('queued', 'running') AND NEW.status NOT IN ('queued', 'running'))
EXECUTE FUNCTION task_ended()
"""
# One that had ended and is queued again stands in line for its key.
_REVIVED = """
CREATE FUNCTION task_revived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('tasks.key:' || NEW.tenant_id || ':' || NEW.concurrency_key, 0));
    NEW.waits_for_key := EXISTS (
        SELECT FROM task
        WHERE tenant_id = NEW.tenant_id AND concurrency_key = NEW.concurrency_key
            AND status IN ('queued', 'running') AND NOT waits_for_key
    );
    IF NEW.waits_for_key THEN
        NEW.enqueued_at := NULL;
    END IF;
    RETURN NEW;
END $$
"""
_WHEN_REVIVED = """
CREATE TRIGGER task_revived BEFORE UPDATE OF status ON task FOR EACH ROW
WHEN (OLD.status NOT IN ('queued', 'running') AND NEW.status = 'queued' AND NEW.concurrency_key IS NOT NULL)
EXECUTE FUNCTION task_revived()
"""


def upgrade() -> None:
    op.add_column("task", sa.Column("retry", JSONB))
    op.add_column("task", sa.Column("start_before", sa.DateTime(timezone=True)))
    op.add_column("task", sa.Column("waiting_for", sa.Integer, nullable=False, server_default="0"))
    op.add_column("task", sa.Column("dependency_failed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("task", sa.Column("concurrency_key", sa.Text))
    op.add_column("task", sa.Column("waits_for_key", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("task", sa.Column("parent_id", sa.Uuid(as_uuid=False)))
    op.create_table(
        "task_dependency",
        sa.Column("after_id", sa.Uuid, sa.ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("task_id", sa.Uuid, sa.ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("needs_success", sa.Boolean, nullable=False),
    )
    op.create_index("ix_task_dependency_task_id", "task_dependency", ["task_id"])
    _index("ix_task_start_before", ["start_before"], _LATE)
    _index("ix_task_finished", ["kind", "finished_at"], "finished_at IS NOT NULL")
    _index("ix_task_doomed", ["id"], "status = 'queued' AND dependency_failed")
    _index("ix_task_parent", ["tenant_id", "parent_id", sa.text("id DESC")], "parent_id IS NOT NULL")
    _index("uq_task_key", ["tenant_id", "concurrency_key"], _HAS_KEY, unique=True)
    _index("ix_task_key", ["tenant_id", "concurrency_key", "id"], _WAITS_FOR_KEY)
    _index_unsent(_FREE)
    for statement in (_ENDED, _WHEN_ENDED, _REVIVED, _WHEN_REVIVED):
        op.execute(statement)


def downgrade() -> None:
    for name in ("task_ended", "task_revived"):
        op.execute(f"DROP TRIGGER {name} ON task")
        op.execute(f"DROP FUNCTION {name}()")
    _index_unsent(_UNSENT)
    for name in (
        "ix_task_finished",
        "ix_task_start_before",
        "ix_task_doomed",
        "ix_task_parent",
        "uq_task_key",
        "ix_task_key",
    ):
        op.drop_index(name, "task")
    op.drop_table("task_dependency")
    for name in _COLUMNS:
        op.drop_column("task", name)


def _index_unsent(condition: str) -> None:
    for name, columns in (
        ("ix_task_due", ["run_at"]),
        ("ix_task_turn", ["priority", "tenant_id", "user_id", "run_at"]),
    ):
        op.drop_index(name, "task")
        _index(name, columns, condition)


def _index(name: str, columns: list[object], condition: str, *, unique: bool = False) -> None:
    op.create_index(name, "task", columns, unique=unique, postgresql_where=sa.text(condition))  # type: ignore[arg-type]
