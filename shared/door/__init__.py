"""The door of every service: what a route demands of its caller, and that a repeated request has its effect once."""

from shared.door.body import BODY_IS_HERE, BoundedRequest, UnsupportedMediaType, json_of
from shared.door.bounds import Bounds, TooComplex, takes
from shared.door.demand import API_KEY, SECURITY_SCHEMES, Demand, authenticate, caller_of, known_caller, requires
from shared.door.handing import Held, held
from shared.door.idempotency import Idempotency, IdempotencyKeyInUse
from shared.door.idempotent_route import ClaimingRoute, IdempotentRoute, UnreadRoute
from shared.door.keyless_route import IdempotencyKeyRefused, KeylessRoute
from shared.door.once import IdempotencyKeyReused, Keyed, Once
from shared.door.route import GuardedRoute, Handler, stores_nothing

__all__ = [
    "API_KEY",
    "BODY_IS_HERE",
    "SECURITY_SCHEMES",
    "BoundedRequest",
    "Bounds",
    "ClaimingRoute",
    "Demand",
    "GuardedRoute",
    "Handler",
    "Held",
    "Idempotency",
    "IdempotencyKeyInUse",
    "IdempotencyKeyRefused",
    "IdempotencyKeyReused",
    "IdempotentRoute",
    "Keyed",
    "KeylessRoute",
    "Once",
    "TooComplex",
    "UnreadRoute",
    "UnsupportedMediaType",
    "authenticate",
    "caller_of",
    "held",
    "json_of",
    "known_caller",
    "requires",
    "stores_nothing",
    "takes",
]
