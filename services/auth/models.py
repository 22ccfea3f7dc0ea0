"""auth's tables. Text where others would use varchar: the bounds are the schemas'."""

from datetime import datetime

from sqlalchemy import ARRAY, Boolean, DateTime, ForeignKey, Index, Integer, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.db import Base as SharedBase


class Base(SharedBase):
    """The root of auth's tables."""

    __abstract__ = True


_Moment = DateTime(timezone=True)


class Tenant(Base):
    """What owns records; made together with its first user."""

    __tablename__ = "tenant"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_Moment)


class User(Base):
    """A person who can log in."""

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


class RefreshToken(Base):
    """One link in the chain of a session; the chain (`family_id`) ends as a whole."""

    __tablename__ = "refresh_token"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    family_id: Mapped[str] = mapped_column(Text, index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scope: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_Moment)
    expires_at: Mapped[datetime] = mapped_column(_Moment)
    used_at: Mapped[datetime | None] = mapped_column(_Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(_Moment)


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

    __table_args__ = (Index("ix_api_key_owner", "tenant_id", "user_id", "id"),)


class SigningKey(Base):
    """A key pair that signs access tokens; the private half is sealed with a key from outside the database."""

    __tablename__ = "signing_key"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    public_jwk: Mapped[dict[str, str]] = mapped_column(JSONB)
    sealed_private_key: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(_Moment)
    retired_at: Mapped[datetime | None] = mapped_column(_Moment)

    # At most one key signs: replicas that start at once agree on the same one.
    __table_args__ = (
        Index("uq_signing_key_current", text("(true)"), unique=True, postgresql_where=text("retired_at IS NULL")),
    )
