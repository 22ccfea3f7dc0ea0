"""The tables of the ways in: logins, sessions and API keys."""

from datetime import UTC, datetime

from sqlalchemy import ARRAY, ForeignKey, Index, Integer, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from services.auth.models.base import Base, Moment
from shared.identity import PREFIX


class LoginSession(Base):
    """One login in one tenant. It ends as a whole, with every refresh token that descends from it."""

    __tablename__ = "login_session"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id"))
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenant.id"))
    scope: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (Index("ix_login_session_alive", "user_id", postgresql_where=text("ended_at IS NULL")),)


class RefreshToken(Base):
    """One link in the chain of a session: its first use makes the next one, from the token and the next one's id."""

    __tablename__ = "refresh_token"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("login_session.id", ondelete="CASCADE"))
    parent_id: Mapped[str | None] = mapped_column(Text, index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    # Set by releases that gave another link in its place where an answer was lost; such a one is used up.
    superseded_at: Mapped[datetime | None] = mapped_column(Moment)

    # The newest of a session says when that was used last.
    __table_args__ = (Index("ix_refresh_token_session", "session_id", "created_at"),)


class LoginThrottle(Base):
    """Failed logins of one account or from one source, named by a hash: most keys belong to nobody.

    Failures run out one by one from `last_failed_at` on, which is when the first of them failed, or the last ran out.
    """

    __tablename__ = "login_throttle"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last_failed_at: Mapped[datetime] = mapped_column(Moment, index=True)
    blocked_until: Mapped[datetime | None] = mapped_column(Moment)


class KnownLoginSource(Base):
    """From where an account logged in lately; both named by the hashes of `LoginThrottle`. Bounded for each account."""

    __tablename__ = "known_login_source"

    account: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    source: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    last_login_at: Mapped[datetime] = mapped_column(Moment, index=True)


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
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)  # to the minute
    replaced_by: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ix_api_key_owner", "tenant_id", "user_id", "id"),
        Index("ix_api_key_alive", "user_id", "expires_at", postgresql_where=text("revoked_at IS NULL")),
    )

    @property
    def prefix(self) -> str:
        """How the key begins: as much of it as may be shown."""
        return PREFIX + self.public_id

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)
