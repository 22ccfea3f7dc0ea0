"""auth's tables. Text where others would use varchar: the bounds are the schemas'."""

from services.auth.models.base import Base
from services.auth.models.entry import ApiKey, KnownLoginSource, LoginSession, LoginThrottle, RefreshToken
from services.auth.models.messages import HeardMessage, IdempotencyKeyRow, OutboxRow, ProbeRow
from services.auth.models.people import DISPLACED, Invitation, LetterCount, MailedToken, Membership, Tenant, User
from services.auth.models.trust import AuditEntry, AuditWindow, RevocationRow, SigningKey

__all__ = [
    "DISPLACED",
    "ApiKey",
    "AuditEntry",
    "AuditWindow",
    "Base",
    "HeardMessage",
    "IdempotencyKeyRow",
    "Invitation",
    "KnownLoginSource",
    "LetterCount",
    "LoginSession",
    "LoginThrottle",
    "MailedToken",
    "Membership",
    "OutboxRow",
    "ProbeRow",
    "RefreshToken",
    "RevocationRow",
    "SigningKey",
    "Tenant",
    "User",
]
