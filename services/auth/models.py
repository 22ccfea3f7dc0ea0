"""auth's tables. Text where others would use varchar: the bounds are the schemas'."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.identity import PREFIX
from shared.postgres import Base as SharedBase
from shared.postgres import IdempotencyKeyRecord, OutboxMessage, ProbeRecord, new_metadata


class Base(SharedBase):
    """The root of auth's tables."""

    __abstract__ = True
    metadata = new_metadata()


_Moment = DateTime(timezone=True)


class Tenant(Base):
    """What owns records; made together with its first user."""

    __tablename__ = "tenant"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_Moment)


class User(Base):
    """A person who can log in. `tenant_id` is the tenant they act in when they name no other.

    `email_verified_at` is when it was proved that the mailbox is theirs; null until then.
    """

    __tablename__ = "user_account"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenant.id"), index=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    is_admin: Mapped[bool] = mapped_column(Boolean)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(_Moment)
    updated_at: Mapped[datetime] = mapped_column(_Moment)
    disabled_at: Mapped[datetime | None] = mapped_column(_Moment)
    email_verified_at: Mapped[datetime | None] = mapped_column(_Moment)

    @property
    def email_verified(self) -> bool:
        return self.email_verified_at is not None


class Membership(Base):
    """What a user may do in a tenant."""

    __tablename__ = "membership"

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_Moment)


class Invitation(Base):
    """An offer of a role in a tenant to whoever reads the mail of an address; the token is kept only as a hash."""

    __tablename__ = "invitation"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenant.id"))
    email: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    invited_by: Mapped[str] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(_Moment)
    expires_at: Mapped[datetime] = mapped_column(_Moment)
    accepted_at: Mapped[datetime | None] = mapped_column(_Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(_Moment)

    __table_args__ = (Index("ix_invitation_tenant", "tenant_id", "id"),)


class MailedToken(Base):
    """What the reader of a letter may do, once; the token stands in the letter, and here only as a hash.

    `user_id` is no foreign key: a registration for an address that somebody else holds unproved is the draft of an
    account, with all that makes it one.
    """

    __tablename__ = "mailed_token"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text, index=True)
    user_id: Mapped[str] = mapped_column(Text, index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    tenant_id: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_Moment)
    expires_at: Mapped[datetime] = mapped_column(_Moment, index=True)


class LetterCount(Base):
    """Letters of one kind to one address within an hour of the first of them; named by a hash, as most get one."""

    __tablename__ = "letter_count"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    letters: Mapped[int] = mapped_column(Integer)
    began_at: Mapped[datetime] = mapped_column(_Moment, index=True)


class LoginSession(Base):
    """One login in one tenant. It ends as a whole, with every refresh token that descends from it."""

    __tablename__ = "login_session"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id"), index=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenant.id"))
    scope: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_Moment)
    expires_at: Mapped[datetime] = mapped_column(_Moment, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(_Moment)


class RefreshToken(Base):
    """One link in the chain of a session: its first use makes the next one, from the token and the next one's id."""

    __tablename__ = "refresh_token"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("login_session.id", ondelete="CASCADE"), index=True)
    parent_id: Mapped[str | None] = mapped_column(Text, index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(_Moment)
    used_at: Mapped[datetime | None] = mapped_column(_Moment)
    # Set by releases that gave another link in its place where an answer was lost; such a one is used up.
    superseded_at: Mapped[datetime | None] = mapped_column(_Moment)


class LoginThrottle(Base):
    """Failed logins of one account or from one source, named by a hash: most keys belong to nobody.

    Failures run out one by one from `last_failed_at` on, which is when the first of them failed, or the last ran out.
    """

    __tablename__ = "login_throttle"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last_failed_at: Mapped[datetime] = mapped_column(_Moment, index=True)
    blocked_until: Mapped[datetime | None] = mapped_column(_Moment)


class KnownLoginSource(Base):
    """From where an account logged in lately; both named by the hashes of `LoginThrottle`. Bounded for each account."""

    __tablename__ = "known_login_source"

    account: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    source: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    last_login_at: Mapped[datetime] = mapped_column(_Moment, index=True)


class ApiKey(Base):
    """A key's keyed hash and what it may do; the key itself is shown once and kept nowhere."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenant.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id"))
    name: Mapped[str] = mapped_column(Text)
    public_id: Mapped[str] = mapped_column(Text, unique=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(_Moment)
    expires_at: Mapped[datetime | None] = mapped_column(_Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(_Moment)
    last_used_at: Mapped[datetime | None] = mapped_column(_Moment)  # to the minute
    replaced_by: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index("ix_api_key_owner", "tenant_id", "user_id", "id"),)

    @property
    def prefix(self) -> str:
        """How the key begins: as much of it as may be shown."""
        return PREFIX + self.public_id

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


class RevocationRow(Base):
    """Tokens that ended before their time; see `shared.identity`. Deleted when none of them is valid any more."""

    __tablename__ = "revocation"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text)
    issued_until: Mapped[datetime | None] = mapped_column(_Moment)
    created_at: Mapped[datetime] = mapped_column(_Moment, index=True)
    expires_at: Mapped[datetime] = mapped_column(_Moment, index=True)


class SigningKey(Base):
    """A key pair that signs access tokens; the private half is sealed with a key from outside the database.

    It is published first (next), signs from `activated_at` on (current), and verifies what it signed after `retired_at`
    (previous).
    """

    __tablename__ = "signing_key"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    public_jwk: Mapped[dict[str, str]] = mapped_column(JSONB)
    sealed_private_key: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(_Moment)
    activated_at: Mapped[datetime | None] = mapped_column(_Moment)
    retired_at: Mapped[datetime | None] = mapped_column(_Moment)

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
    at: Mapped[datetime] = mapped_column(_Moment)
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
    first_at: Mapped[datetime] = mapped_column(_Moment, index=True)
    last_at: Mapped[datetime] = mapped_column(_Moment)


class HeardMessage(Base):
    """A message of another service whose effect is here, so that its repetition has none."""

    __tablename__ = "heard_message"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    heard_at: Mapped[datetime] = mapped_column(_Moment, index=True)


class OutboxRow(OutboxMessage, Base):
    """Events that have still to be published."""


class IdempotencyKeyRow(IdempotencyKeyRecord, Base):
    """Keys of requests, each with what was made for it."""


class ProbeRow(ProbeRecord, Base):
    """What health checks write."""
