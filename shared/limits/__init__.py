"""How much of the platform one caller may use: requests counted over all services and replicas."""

from shared.limits.at_once import MOST_AT_ONCE, crowded
from shared.limits.permits import Limit, Permits
from shared.limits.ratelimit import (
    REQUESTS,
    LimitName,
    Quota,
    RateLimiter,
    limited_by_source,
    open_permits,
    quotas_of,
    rate_limit_fields,
    tell_quota,
)
from shared.limits.shares import RESERVED_SHARE, TENANT_SHARE, Place, Shares, ShareTaken
from shared.limits.source import GatewaysWord, source_of
from shared.limits.turns import Turns

__all__ = [
    "MOST_AT_ONCE",
    "REQUESTS",
    "RESERVED_SHARE",
    "TENANT_SHARE",
    "GatewaysWord",
    "Limit",
    "LimitName",
    "Permits",
    "Place",
    "Quota",
    "RateLimiter",
    "ShareTaken",
    "Shares",
    "Turns",
    "crowded",
    "limited_by_source",
    "open_permits",
    "quotas_of",
    "rate_limit_fields",
    "source_of",
    "tell_quota",
]
