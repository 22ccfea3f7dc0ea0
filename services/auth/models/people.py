"""The tables of tenants, people and what is sent to them."""

from datetime import datetime
from typing import Final

from sqlalchemy import Boolean, ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.auth.models.base import Base, Moment


class Tenant(Base):
    """What owns records; made together with its first user."""

    __tablename__ = "tenant"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)


DISPLACED: Final = "displaced "
"""Before the id of a user whose address went to who proved it, in place of it: nobody can spell that."""


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
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)
    email_verified_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def email_verified(self) -> bool:
        return self.email_verified_at is not None

    @property
    def is_displaced(self) -> bool:
        return self.email.startswith(DISPLACED)


class Membership(Base):
    """What a user may do in a tenant."""

    __tablename__ = "membership"

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)


class Invitation(Base):
    """An offer of a role in a tenant to whoever reads the mail of an address; the token is kept only as a hash."""

    __tablename__ = "invitation"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenant.id"))
    email: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    invited_by: Mapped[str] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    accepted_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)

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
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)


class LetterCount(Base):
    """Letters of one kind to one address within an hour of the first of them; named by a hash, as most get one."""

    __tablename__ = "letter_count"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    letters: Mapped[int] = mapped_column(Integer)
    began_at: Mapped[datetime] = mapped_column(Moment, index=True)
