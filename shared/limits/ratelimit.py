"""How many requests a caller may send: one limit for each class of operation, over all services and replicas.

What comes with an API key also counts against the key's own, smaller limit, so that one program cannot use up what its
owner has. Without Redis requests pass and are counted as unchecked: limits protect the platform and must not stop it.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple, get_args

from fastapi import Request
from limits import parse
from limits.aio.storage import RedisStorage
from prometheus_client import Counter
from redis.asyncio import Redis

from shared.errors import RateLimited
from shared.limits.permits import Limit, Permits
from shared.limits.source import source_of
from shared.settings import ServiceSettings

LimitName = Literal["read", "write", "model", "bulk", "anonymous"]
REQUESTS = "requests"
"""The unit of what counts requests."""
_READING = frozenset({"GET", "HEAD"})
_FOUND = "sutazai.ratelimit"
_POLICY_FIELD, _FIELD = b"ratelimit-policy", b"ratelimit"


class Quota(NamedTuple):
    """What the answer says of one limit: its items of `RateLimit-Policy` and of `RateLimit`, and what they tell."""

    policy: bytes
    standing: bytes
    unit: str
    most: int
    remaining: int
    resets_in_seconds: int


_found: ContextVar[list[Quota] | None] = ContextVar("found", default=None)
"""Of the request that is being answered, the same as in its scope."""


def open_permits(redis: Redis) -> Permits:
    """Permits counted in the Redis that `redis` is connected to, over its connections."""
    pool: Any = redis.connection_pool  # which the library takes, though its annotations do not say so
    return Permits(
        RedisStorage("async+redis://", implementation="redispy", key_prefix="ratelimit", connection_pool=pool)
    )


class RateLimiter:
    """The limits of one installation, applied by one process."""

    def __init__(self, settings: ServiceSettings, permits: Permits, unchecked: Counter) -> None:
        self._permits, self._unchecked = permits, unchecked
        self._limits, self._key_limits = dict[str, Limit](), dict[str, Limit]()
        for name in get_args(LimitName):
            item = parse(getattr(settings, f"rate_limit_{name}"))
            share = type(item)(max(1, item.amount * settings.rate_limit_key_percent // 100), item.multiples)
            self._limits[name], self._key_limits[name] = Limit(name, item), Limit(f"{name}-key", share)

    async def admit_caller(
        self, scope: MutableMapping[str, Any], name: LimitName | None, user: str, key_id: str | None
    ) -> None:
        """Count the request for `user` and, where an API key was used, for the key. Raises RateLimited."""
        found = scope[_FOUND] = list[Quota]()
        _found.set(found)
        name = name or ("read" if scope["method"] in _READING else "write")
        if key_id and not await self._charge(found, self._key_limits[name], key_id):
            return  # first the key: what it is refused is not taken from its owner
        await self._charge(found, self._limits[name], user)

    async def admit_source(self, request: Request) -> None:
        """Count this request for the address it comes from. Raises RateLimited."""
        found = request.scope[_FOUND] = list[Quota]()
        await self._charge(found, self._limits["anonymous"], source_of(request))

    async def _charge(self, found: list[Quota], limit: Limit, owner: str) -> bool:
        """Whether it could be counted."""
        standing = self._permits.take_held(limit, owner) or await self._permits.take(limit, owner)
        if standing is None:
            self._unchecked.inc()
            return False
        told = limit.standing(standing.remaining, standing.resets_in_seconds)
        found.append(Quota(limit.policy, told, REQUESTS, limit.quota, standing.remaining, standing.resets_in_seconds))
        if not standing.passed:
            raise RateLimited(
                f"More than {limit.quota} requests of the class {limit.name!r} in {limit.seconds} s.",
                retry_after_seconds=standing.resets_in_seconds,
            )
        return True


async def limited_by_source(request: Request) -> None:
    """`dependencies=[Depends(limited_by_source)]` of an operation that needs no caller."""
    limiter: RateLimiter = request.state.platform.rate_limiter
    await limiter.admit_source(request)


def tell_quota(name: str, quota: int, seconds: int, *, unit: str, remaining: int, resets_in_seconds: int) -> None:
    """Have the answer to the request that this is part of tell of a quota of its service's own, in its `unit`.

    Of one `name` the last word counts. Nothing is told where nobody asked.
    """
    found = _found.get()
    if found is None:
        return
    policy = f'"{name}";q={quota};w={seconds};qu="{unit}"'.encode()
    found[:] = [told for told in found if told.policy != policy]
    told = f'"{name}";r={remaining};t={resets_in_seconds}'.encode()
    found.append(Quota(policy, told, unit, quota, remaining, resets_in_seconds))


def quotas_of(scope: Mapping[str, Any]) -> Sequence[Quota]:
    """The limits that a request counted against, and those that its service told of."""
    found: list[Quota] = scope.get(_FOUND, [])
    return found


def rate_limit_fields(scope: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """What the answer says of the limits its request counted against (draft-ietf-httpapi-ratelimit-headers-11)."""
    found = quotas_of(scope)
    return [(_POLICY_FIELD, told.policy) for told in found] + [(_FIELD, told.standing) for told in found]
