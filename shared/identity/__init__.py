"""Who is calling, as auth says it: the forms of its credentials, and each service as a client of auth.

This is the one room of `shared/` that knows a service by name: every service asks auth, and none asks another so.
"""

from shared.identity.acting import act_for, act_no_more, acted_for, acting_for
from shared.identity.api_keys import PREFIX, PREFIX_PATTERN, public_id_of
from shared.identity.authenticator import ApiKeyExchange, Authenticator, brings_credential
from shared.identity.caller import SERVICE_PREFIX, Caller
from shared.identity.client import ServiceIdentity
from shared.identity.deeds import ACCESS_REFUSED, DEED_DONE, DEEDS_QUEUE, TOKEN_FORGED, Deed, declare_deeds, deed
from shared.identity.feed import Changes, RevocationFeed
from shared.identity.following import ACCESS_EVENTS, followed
from shared.identity.refusals import Refusals, refusing
from shared.identity.remote import RemoteApiKeys, RemoteChanges, RemoteKeys
from shared.identity.revocations import HeldRevocations, Revocation, Revocations
from shared.identity.scopes import SCOPE_PATTERN, covers, is_covered, narrowed
from shared.identity.subjects import key_subject, member_subject, session_subject, token_subject, user_subject
from shared.identity.telling import Teller, Tells, telling
from shared.identity.tokens import ALGORITHM, TOKEN_TYPE, KeySource, RevocationSource, TokenForged, TokenVerifier

__all__ = [
    "ACCESS_EVENTS",
    "ACCESS_REFUSED",
    "ALGORITHM",
    "DEEDS_QUEUE",
    "DEED_DONE",
    "PREFIX",
    "PREFIX_PATTERN",
    "SCOPE_PATTERN",
    "SERVICE_PREFIX",
    "TOKEN_FORGED",
    "TOKEN_TYPE",
    "ApiKeyExchange",
    "Authenticator",
    "Caller",
    "Changes",
    "Deed",
    "HeldRevocations",
    "KeySource",
    "Refusals",
    "RemoteApiKeys",
    "RemoteChanges",
    "RemoteKeys",
    "Revocation",
    "RevocationFeed",
    "RevocationSource",
    "Revocations",
    "ServiceIdentity",
    "Teller",
    "Tells",
    "TokenForged",
    "TokenVerifier",
    "act_for",
    "act_no_more",
    "acted_for",
    "acting_for",
    "brings_credential",
    "covers",
    "declare_deeds",
    "deed",
    "followed",
    "is_covered",
    "key_subject",
    "member_subject",
    "narrowed",
    "public_id_of",
    "refusing",
    "session_subject",
    "telling",
    "token_subject",
    "user_subject",
]
