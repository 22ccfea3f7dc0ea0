"""The tables of webhooks."""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Boolean, DateTime, ForeignKey, Index, Integer, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.tasks.models import Base

_Moment = DateTime(timezone=True)
_Id: Uuid[Any] = Uuid(as_uuid=False)
_IS_THERE = text("deleted_at IS NULL")


class Webhook(Base):
    """Whom to tell, of what, and with which secret. It acts with the credential that its maker last told it with."""

    __tablename__ = "webhook"

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))  # those that reading its events takes, and no others
    key_id: Mapped[str | None] = mapped_column(Text)
    session_id: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    covers: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)  # sealed
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))  # of tasks; none for any
    # Those that it was rotated away from, newest first: `sealed`, and `expires_at` as text.
    older_secrets: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    is_enabled: Mapped[bool] = mapped_column(Boolean)
    # Why it was disabled by itself; none where a person did it.
    error_code: Mapped[str | None] = mapped_column(Text)
    error_detail: Mapped[str | None] = mapped_column(Text)
    disabled_at: Mapped[datetime | None] = mapped_column(_Moment)
    failing_since: Mapped[datetime | None] = mapped_column(_Moment)  # the first failure since it last succeeded
    held_until: Mapped[datetime | None] = mapped_column(_Moment)  # as its receiver asked for
    deleted_at: Mapped[datetime | None] = mapped_column(_Moment)  # the row goes when its deliveries have gone
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(_Moment)

    __table_args__ = (
        Index("ix_webhook_tenant", "tenant_id", text("id DESC"), postgresql_where=_IS_THERE),
        Index("uq_webhook_url", "tenant_id", "user_id", "url", unique=True, postgresql_where=_IS_THERE),
        Index("ix_webhook_told", "tenant_id", postgresql_where=text("is_enabled")),
        Index("ix_webhook_deleted", "id", postgresql_where=text("deleted_at IS NOT NULL")),
    )


class WebhookDelivery(Base):
    """One event on its way to one webhook, once for each (`uq_webhook_delivery_event`)."""

    __tablename__ = "webhook_delivery"

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    webhook_id: Mapped[str] = mapped_column(_Id)
    tenant_id: Mapped[str] = mapped_column(Text)
    event_id: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(_Moment)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(Text)  # of the latest attempt, or why there is none
    claims: Mapped[int] = mapped_column(Integer)  # by deliverers; the latest fences the others out
    failures: Mapped[int] = mapped_column(Integer)  # since it was new, or replayed: what the next wait goes by
    next_at: Mapped[datetime | None] = mapped_column(_Moment)  # while it is claimed, when the claim lapses
    finished_at: Mapped[datetime | None] = mapped_column(_Moment)
    created_at: Mapped[datetime] = mapped_column(_Moment)

    __table_args__ = (
        Index("uq_webhook_delivery_event", "webhook_id", "event_id", unique=True),
        Index("ix_webhook_delivery_newest", "webhook_id", text("id DESC")),
        Index("ix_webhook_delivery_status", "webhook_id", "status", text("id DESC")),
        Index("ix_webhook_delivery_due", "webhook_id", "next_at", postgresql_where=text("status = 'pending'")),
        Index("ix_webhook_delivery_created", "created_at"),
    )


class WebhookAttempt(Base):
    """One request that was made for a delivery, and what came of it."""

    __tablename__ = "webhook_attempt"

    delivery_id: Mapped[str] = mapped_column(ForeignKey("webhook_delivery.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(_Moment)
    duration_ms: Mapped[int] = mapped_column(Integer)
    status_code: Mapped[int | None] = mapped_column(Integer)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_detail: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
