"""What auth refuses.

BadRequest      GrantIncomplete · GrantUnsupported · FieldRepeated
Conflict        EmailTaken · TooManyApiKeys · ApiKeyReplaced · AlreadyMember · LastOwner · OwnAccount
                TooManyTenants · TooManyInvitations · UserDisplaced
Unauthenticated WrongCredentials · RefreshTokenRefused ─ RefreshTokenReused
                WrongClient · ApiKeyUnusable
NotFound        ApiKeyNotFound · UserNotFound · MemberNotFound · InvitationNotFound
Invalid         ScopeNotAllowed · PasswordTooCommon · InvitationRefused · AddressRefused
                ProofRefused · ResetRefused
Forbidden       DelegationRefused · WrongCurrentPassword · DelegateRefused · ApiKeyRefused · EmailUnverified
RateLimited     SourceHeldOff
Unavailable     HashingBusy
"""

from services.auth.errors.entry import (
    ApiKeyNotFound,
    ApiKeyRefused,
    ApiKeyReplaced,
    ApiKeyUnusable,
    DelegateRefused,
    DelegationRefused,
    FieldRepeated,
    GrantIncomplete,
    GrantUnsupported,
    RefreshTokenRefused,
    RefreshTokenReused,
    ScopeNotAllowed,
    SourceHeldOff,
    TooManyApiKeys,
    WrongClient,
    WrongCredentials,
)
from services.auth.errors.membership import (
    AlreadyMember,
    InvitationNotFound,
    InvitationRefused,
    LastOwner,
    MemberNotFound,
    TooManyInvitations,
    TooManyTenants,
)
from services.auth.errors.people import (
    AddressRefused,
    EmailTaken,
    EmailUnverified,
    HashingBusy,
    OwnAccount,
    PasswordTooCommon,
    ProofRefused,
    ResetRefused,
    UserDisplaced,
    UserNotFound,
    WrongCurrentPassword,
)

__all__ = [
    "AddressRefused",
    "AlreadyMember",
    "ApiKeyNotFound",
    "ApiKeyRefused",
    "ApiKeyReplaced",
    "ApiKeyUnusable",
    "DelegateRefused",
    "DelegationRefused",
    "EmailTaken",
    "EmailUnverified",
    "FieldRepeated",
    "GrantIncomplete",
    "GrantUnsupported",
    "HashingBusy",
    "InvitationNotFound",
    "InvitationRefused",
    "LastOwner",
    "MemberNotFound",
    "OwnAccount",
    "PasswordTooCommon",
    "ProofRefused",
    "RefreshTokenRefused",
    "RefreshTokenReused",
    "ResetRefused",
    "ScopeNotAllowed",
    "SourceHeldOff",
    "TooManyApiKeys",
    "TooManyInvitations",
    "TooManyTenants",
    "UserDisplaced",
    "UserNotFound",
    "WrongClient",
    "WrongCredentials",
    "WrongCurrentPassword",
]
