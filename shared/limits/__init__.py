"""How much of the platform one caller may use: requests counted over all services and replicas."""

from shared.limits.permits import Limit, Permits
from shared.limits.ratelimit import (
    LimitName,
    RateLimiter,
    limited_by_source,
    open_permits,
    rate_limit_fields,
    tell_quota,
)
from shared.limits.shares import TENANT_SHARE, Place, Shares, ShareTaken
from shared.limits.source import GatewaysWord, source_of
from shared.limits.turns import Turns

__all__ = [
    "TENANT_SHARE",
    "GatewaysWord",
    "Limit",
    "LimitName",
    "Permits",
    "Place",
    "RateLimiter",
    "ShareTaken",
    "Shares",
    "Turns",
    "limited_by_source",
    "open_permits",
    "rate_limit_fields",
    "source_of",
    "tell_quota",
]
