"""The tables of messages and requests that count once, and of what health checks write."""

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from services.auth.models.base import Base, Moment
from shared.postgres import IdempotencyKeyRecord, OutboxMessage, ProbeRecord


class HeardMessage(Base):
    """A message of another service whose effect is here, so that its repetition has none."""

    __tablename__ = "heard_message"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    heard_at: Mapped[datetime] = mapped_column(Moment, index=True)


class OutboxRow(OutboxMessage, Base):
    """Events that have still to be published."""


class IdempotencyKeyRow(IdempotencyKeyRecord, Base):
    """Keys of requests, each with what was made for it."""


class ProbeRow(ProbeRecord, Base):
    """What health checks write."""
