"""The tables of what is signed, revoked and written down."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.auth.models.base import Base, Moment


class RevocationRow(Base):
    """Tokens that ended before their time; see `shared.identity`. Deleted when none of them is valid any more."""

    __tablename__ = "revocation"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text)
    issued_until: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, index=True)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)


class SigningKey(Base):
    """A key pair that signs access tokens; the private half is sealed with a key from outside the database.

    It is published first (next), signs from `activated_at` on (current), and verifies what it signed after `retired_at`
    (previous).
    """

    __tablename__ = "signing_key"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    public_jwk: Mapped[dict[str, str]] = mapped_column(JSONB)
    sealed_private_key: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Moment)
    activated_at: Mapped[datetime | None] = mapped_column(Moment)
    retired_at: Mapped[datetime | None] = mapped_column(Moment)

    # At most one key signs and at most one comes next: replicas that start at once agree on the same ones.
    __table_args__ = (
        Index(
            "uq_signing_key_current",
            text("(true)"),
            unique=True,
            postgresql_where=text("activated_at IS NOT NULL AND retired_at IS NULL"),
        ),
        Index("uq_signing_key_next", text("(true)"), unique=True, postgresql_where=text("activated_at IS NULL")),
    )


class AuditEntry(Base):
    """Who did what, in one order. Each row carries a keyed hash over itself and the one before; none ever changes."""

    __tablename__ = "audit_entry"

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    action: Mapped[str] = mapped_column(Text)
    actor: Mapped[str | None] = mapped_column(Text)
    tenant_id: Mapped[str | None] = mapped_column(Text)
    target: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)
    trace_id: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
    hash: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        # The operator class serves the search for how an action begins, whatever the database's collation.
        Index("ix_audit_entry_action", "action", "number", postgresql_ops={"action": "text_pattern_ops"}),
        Index("ix_audit_entry_actor", "actor", "number"),
        Index("ix_audit_entry_tenant", "tenant_id", "number"),
        Index("ix_audit_entry_target", "target", "number"),
        Index("ix_audit_entry_at", "at"),
    )


class AuditWindow(Base):
    """An entry that was written lately and may come again: how often it has. Made for the first, gone when it is over.

    `level` is how shortly it is said: whole, or as one of many about its target, in its tenant, at all.
    """

    __tablename__ = "audit_window"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    level: Mapped[int] = mapped_column(SmallInteger)
    action: Mapped[str] = mapped_column(Text, index=True)
    actor: Mapped[str | None] = mapped_column(Text)
    tenant_id: Mapped[str | None] = mapped_column(Text)
    target: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)
    trace_id: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
    repeated: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime] = mapped_column(Moment, index=True)
    last_at: Mapped[datetime] = mapped_column(Moment)
