"""tasks' tables."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    Uuid,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.postgres import Base as SharedBase
from shared.postgres import IdempotencyKeyRecord, OutboxMessage, ProbeRecord, new_metadata


class Base(SharedBase):
    """The root of tasks' tables."""

    __abstract__ = True
    metadata = new_metadata()


_Moment = DateTime(timezone=True)
_Id: Uuid[Any] = Uuid(as_uuid=False)
_UNSENT_OF_A_KIND = "status = 'queued' AND enqueued_at IS NULL AND waiting_for < 1 AND NOT waits_for_key"
_UNSENT = "status = 'queued' AND enqueued_at IS NULL AND waiting_for = 0 AND NOT waits_for_key"


class Task(Base):
    """A task and its present state. `input` and `result` are JSON text: nothing queries inside them."""

    __tablename__ = "task"

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))  # of the submitting caller: what the worker may do for them
    # The credential the task was submitted with, and ends with: an API key, or the session of a login.
    key_id: Mapped[str | None] = mapped_column(Text)
    session_id: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(Text)
    input: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    result: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_detail: Mapped[str | None] = mapped_column(Text)
    dead_letter: Mapped[bool] = mapped_column(Boolean)
    progress_done: Mapped[int] = mapped_column(BigInteger)
    progress_total: Mapped[int | None] = mapped_column(BigInteger)
    progress_message: Mapped[str | None] = mapped_column(Text)

    attempt: Mapped[int] = mapped_column(Integer)  # of the latest claim; also what fences a late worker out
    interruptions: Mapped[int] = mapped_column(
        Integer
    )  # attempts that are not held against it, whatever broke them off
    max_attempts: Mapped[int] = mapped_column(Integer)
    timeout_seconds: Mapped[float] = mapped_column(Float)
    retry: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    start_before: Mapped[datetime | None] = mapped_column(_Moment)  # of its first attempt; one that is late expires
    worker_id: Mapped[str | None] = mapped_column(Text)
    lease_expires_at: Mapped[datetime | None] = mapped_column(_Moment)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(_Moment)

    run_at: Mapped[datetime] = mapped_column(_Moment)
    # When a message was last written for the present wait. Without one a task cannot be claimed: so a message left over
    # from an earlier attempt cannot start a retry before it is due, and what was put off waits for its owner's turn.
    enqueued_at: Mapped[datetime | None] = mapped_column(_Moment)
    traceparent: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(_Moment)
    started_at: Mapped[datetime | None] = mapped_column(_Moment)
    finished_at: Mapped[datetime | None] = mapped_column(_Moment)
    # What it waits for before it can be due: so many other tasks, or its turn among those of its key. A trigger sees to
    # both in the transaction in which another task ends (migration 0009).
    waiting_for: Mapped[int] = mapped_column(Integer, server_default="0")
    dependency_failed: Mapped[bool] = mapped_column(Boolean, server_default=false())  # then it waits for its own end
    concurrency_key: Mapped[str | None] = mapped_column(Text)
    waits_for_key: Mapped[bool] = mapped_column(Boolean, server_default=false())
    parent_id: Mapped[str | None] = mapped_column(_Id)
    # Which schedule made it, and for which of its moments; none where a person ran the schedule.
    schedule_id: Mapped[str | None] = mapped_column(_Id)
    due_at: Mapped[datetime | None] = mapped_column(_Moment)

    event_number: Mapped[int] = mapped_column(Integer)  # of its latest event; counted by the trigger that writes them
    log_lines: Mapped[int] = mapped_column(Integer)
    log_dropped: Mapped[int] = mapped_column(Integer)  # lines beyond the bound
    replay_of: Mapped[str | None] = mapped_column(_Id)
    replayed_as: Mapped[str | None] = mapped_column(_Id)
    discarded_at: Mapped[datetime | None] = mapped_column(_Moment)  # when somebody said that nothing is to follow

    __table_args__ = (
        Index(
            "uq_task_moment",
            "schedule_id",
            "due_at",
            unique=True,
            postgresql_where=text("schedule_id IS NOT NULL AND due_at IS NOT NULL"),
        ),
        Index("ix_task_schedule", "schedule_id", text("id DESC"), postgresql_where=text("schedule_id IS NOT NULL")),
        Index("ix_task_tenant", "tenant_id", text("id DESC")),
        Index("ix_task_submitter", "tenant_id", "user_id", text("id DESC")),
        Index("ix_task_status", "tenant_id", "status", text("id DESC")),
        Index("ix_task_kind", "tenant_id", "kind", text("id DESC")),
        Index("ix_task_priority", "tenant_id", "priority", text("id DESC")),
        Index(
            "ix_task_error",
            "tenant_id",
            "error_code",
            text("id DESC"),
            postgresql_where=text("error_code IS NOT NULL"),
        ),
        Index("ix_task_dead_letter", "tenant_id", text("id DESC"), postgresql_where=text("dead_letter")),
        Index(
            "ix_task_unsettled",
            "tenant_id",
            text("id DESC"),
            postgresql_where=text("status = 'failed' AND replayed_as IS NULL AND discarded_at IS NULL"),
        ),
        Index("ix_task_due", "run_at", postgresql_where=text(_UNSENT)),
        Index(
            "ix_task_enqueued", "enqueued_at", postgresql_where=text("status = 'queued' AND enqueued_at IS NOT NULL")
        ),
        Index(
            "ix_task_sent",
            "priority",
            "tenant_id",
            "user_id",
            postgresql_where=text("status = 'queued' AND enqueued_at IS NOT NULL"),
        ),
        Index(
            "ix_task_turn",
            "priority",
            "tenant_id",
            "user_id",
            "run_at",
            postgresql_where=text(_UNSENT),
        ),
        Index(
            "ix_task_queue",
            "kind",
            "priority",
            "tenant_id",
            "user_id",
            "run_at",
            postgresql_where=text(_UNSENT_OF_A_KIND),
        ),
        Index("ix_task_ended", "tenant_id", "kind", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        Index("ix_task_doomed", "id", postgresql_where=text("status = 'queued' AND dependency_failed")),
        Index(
            "ix_task_parent",
            "tenant_id",
            "parent_id",
            text("id DESC"),
            postgresql_where=text("parent_id IS NOT NULL"),
        ),
        Index(
            "uq_task_key",
            "tenant_id",
            "concurrency_key",
            unique=True,
            postgresql_where=text(
                "concurrency_key IS NOT NULL AND status IN ('queued', 'running') AND NOT waits_for_key"
            ),
        ),
        Index(
            "ix_task_key",
            "tenant_id",
            "concurrency_key",
            "id",
            postgresql_where=text("concurrency_key IS NOT NULL AND status = 'queued' AND waits_for_key"),
        ),
        Index(
            "ix_task_start_before",
            "start_before",
            postgresql_where=text("status = 'queued' AND started_at IS NULL AND start_before IS NOT NULL"),
        ),
        Index("ix_task_lease", "lease_expires_at", postgresql_where=text("status = 'running'")),
    )


class TaskDependency(Base):
    """That a task waits for another; gone once that has ended as it should."""

    __tablename__ = "task_dependency"

    after_id: Mapped[str] = mapped_column(ForeignKey("task.id", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id", ondelete="CASCADE"), primary_key=True, index=True)
    needs_success: Mapped[bool] = mapped_column(Boolean)


class TaskAttempt(Base):
    """One claim of a task by a worker, and how it ended."""

    __tablename__ = "task_attempt"

    task_id: Mapped[str] = mapped_column(ForeignKey("task.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    worker_id: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(_Moment)
    finished_at: Mapped[datetime | None] = mapped_column(_Moment)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_detail: Mapped[str | None] = mapped_column(Text)


class TaskEvent(Base):
    """Something that happened to a task, or a line of its log. Rows are written once and never changed.

    `number` counts within the task and is in the order of commits. `xid` and `id` order the events of all tasks: behind
    a transaction that still runs none is to be read, or what it commits would come to lie before it.
    """

    __tablename__ = "task_event"

    task_id: Mapped[str] = mapped_column(_Id, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(Text)
    xid: Mapped[int] = mapped_column(BigInteger, server_default=text("pg_current_xact_id()::text::bigint"))
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    type: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(_Moment)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)

    __table_args__ = (
        Index("ix_task_event_tenant", "tenant_id", "xid", "id", postgresql_include=["user_id", "task_id"]),
        Index("ix_task_event_user", "tenant_id", "user_id", "xid", "id"),
    )


class TaskHold(Base):
    """What a task has to itself: of two that would write the same thing, one is first."""

    __tablename__ = "task_hold"

    tenant_id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id", ondelete="CASCADE"), index=True)


class Schedule(Base):
    """What is to be submitted again and again, and when next. It acts with the credential it was last told with."""

    __tablename__ = "schedule"

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    key_id: Mapped[str | None] = mapped_column(Text)
    session_id: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(Text)
    input: Mapped[str] = mapped_column(Text)
    cron: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    catch_up: Mapped[str] = mapped_column(Text)
    jitter_seconds: Mapped[int] = mapped_column(Integer)
    is_paused: Mapped[bool] = mapped_column(Boolean)
    # Why it paused by itself; none where a person paused it.
    error_code: Mapped[str | None] = mapped_column(Text)
    error_detail: Mapped[str | None] = mapped_column(Text)
    ends_at: Mapped[datetime | None] = mapped_column(_Moment)
    next_at: Mapped[datetime | None] = mapped_column(_Moment)  # none when it is over
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(_Moment)

    __table_args__ = (
        Index("ix_schedule_owner", "tenant_id", "user_id", text("id DESC")),
        Index("ix_schedule_due", "next_at", postgresql_where=text("NOT is_paused AND next_at IS NOT NULL")),
    )


class OutboxRow(OutboxMessage, Base):
    """Messages that have still to be published."""


class IdempotencyKeyRow(IdempotencyKeyRecord, Base):
    """Keys of requests, each with what was made for it."""


class ProbeRow(ProbeRecord, Base):
    """What health checks write."""
