"""The health of the whole system, put together from what each instance of each service says about itself.

A store's state comes from the services that use it: that it answers the portal would prove nothing about them.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import httpx
from pydantic import BaseModel, Field, ValidationError

from gateway.portal.cached import Cached
from gateway.portal.schemas import ComponentCheck, HealthReport
from gateway.portal.settings import Settings
from services.topology import SERVICES, STORES
from shared.discovery import Discovery
from shared.errors import ServiceError
from shared.health import Health, Status, worst
from shared.telemetry import monotonic_ms
from shared.tls import meant, refusal_in

PROBE_SECONDS: Final = 1.5
"""Half a second more than an instance gives a store that hangs: else it would be the instance that seems away."""
_KEPT_SECONDS = 1.5
_MAX_INSTANCES = 32  # asked per service; more are counted only
_SEVERITY: Final[Mapping[Status, int]] = {"pass": 0, "warn": 1, "fail": 2}


class _Readiness(BaseModel):
    """What we read of an instance's `/health/ready`; `latency_ms` is how long it took us to get it."""

    status: Status
    checks: dict[str, ComponentCheck]
    latency_ms: float = Field(default=0, exclude=True)


@dataclass(frozen=True, slots=True)
class _ServiceState:
    """One service: its own check, and what its instances that answered say about their stores."""

    check: ComponentCheck
    stores: dict[str, ComponentCheck]


class SystemHealth:
    """Asks all at once, with a limit of a second and a half for each, and keeps the answer for a moment."""

    def __init__(self, discovery: Discovery, http: httpx.AsyncClient, own: Health, settings: Settings) -> None:
        self._discovery = discovery
        self._http = http
        self._own = own
        self._settings = settings
        self._cached = Cached(self._ask_all, seconds=lambda _: _KEPT_SECONDS)

    async def report(self) -> HealthReport:
        """The state of everything, at most one and a half seconds old. Whatever is down, this does not raise."""
        return await self._cached.get()

    async def _ask_all(self) -> HealthReport:
        states, consul, kong = await asyncio.gather(
            asyncio.gather(*(self._service(name) for name in SERVICES)), self._consul(), self._gateway()
        )
        services: dict[str, _ServiceState] = dict(zip(SERVICES, states, strict=True))
        checks = {name: state.check for name, state in services.items()}
        checks |= {store: _store(store, owners, services) for store, owners in STORES.items()}
        checks |= {"consul": consul, "kong": kong}
        overall = worst(check.status for check in checks.values())
        return HealthReport(status=overall, version=self._settings.version, checks=checks)

    async def _service(self, name: str) -> _ServiceState:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                addresses = await self._discovery.instances(name)
        except (ServiceError, TimeoutError):
            return _ServiceState(check=_failed(started, "discovery does not answer", instances=0), stores={})
        if not addresses:
            return _ServiceState(check=_failed(started, "no instance is known", instances=0), stores={})
        answers = await asyncio.gather(*(self._instance(name, address) for address in addresses[:_MAX_INSTANCES]))
        return _service_state(answers, instances=len(addresses))

    async def _instance(self, name: str, address: str) -> _Readiness | ComponentCheck:
        """What one instance says; a failed check in its place when it says nothing we can read."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                wanted = meant(name) if self._settings.uses_tls else None
                response = await self._http.get(f"{address}/health/ready", extensions=wanted)
            readiness = _Readiness.model_validate_json(response.content)
        except (httpx.HTTPError, TimeoutError) as error:
            refused = refusal_in(error)
            return _failed(started, f"{name}: its certificate was refused" if refused else f"{name} does not answer")
        except ValidationError:
            return _failed(started, f"{name} gave an invalid answer")
        readiness.latency_ms = round(monotonic_ms(started), 2)
        return readiness

    async def _consul(self) -> ComponentCheck:
        check = (await self._own.readiness()).checks.get("consul")
        if check is None:
            return ComponentCheck(status="warn", latency_ms=0, detail="not used: services are at fixed addresses")
        return ComponentCheck.model_validate(check)

    async def _gateway(self) -> ComponentCheck:
        started = time.perf_counter()
        if self._settings.gateway_status_url is None:
            return ComponentCheck(status="warn", latency_ms=0, detail="not asked: GATEWAY_STATUS_URL is not set")
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                response = await self._http.get(self._settings.gateway_status_url)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return _failed(started, "the gateway's status address does not answer")
        if not response.is_success:
            return _failed(started, f"the gateway's status is {response.status_code}")
        return ComponentCheck(status="pass", latency_ms=round(monotonic_ms(started), 2))


def _failed(started: float, detail: str, instances: int | None = None) -> ComponentCheck:
    return ComponentCheck(status="fail", latency_ms=round(monotonic_ms(started), 2), detail=detail, instances=instances)


def _service_state(answers: Sequence[_Readiness | ComponentCheck], instances: int) -> _ServiceState:
    views = [_own_view(answer) if isinstance(answer, _Readiness) else answer for answer in answers]
    check = _across_instances(views).model_copy(update={"instances": instances})
    by_store: dict[str, list[ComponentCheck]] = {}
    for answer in answers:
        if isinstance(answer, _Readiness):
            for store, said in answer.checks.items():
                by_store.setdefault(store, []).append(said)
    return _ServiceState(check=check, stores={store: _across_instances(said) for store, said in by_store.items()})


def _own_view(readiness: _Readiness) -> ComponentCheck:
    """An instance's check of itself, its detail made of those of its dependencies that do not pass."""
    troubles = [f"{name}: {check.detail}" for name, check in readiness.checks.items() if check.status != "pass"]
    return ComponentCheck(status=readiness.status, latency_ms=readiness.latency_ms, detail="; ".join(troubles) or None)


def _across_instances(views: Sequence[ComponentCheck]) -> ComponentCheck:
    """Several instances' views of one thing: what fails for some of them only is a warning."""
    combined = _worst(views)
    failing = sum(view.status == "fail" for view in views)
    if 0 < failing < len(views):
        detail = f"{failing} of {len(views)} instances: {combined.detail}"
        return combined.model_copy(update={"status": "warn", "detail": detail})
    return combined


def _worst(views: Iterable[ComponentCheck]) -> ComponentCheck:
    """The worst view, with the latency of the slowest."""
    views = list(views)
    found = max(views, key=lambda view: _SEVERITY[view.status])
    return found.model_copy(update={"latency_ms": max(view.latency_ms for view in views)})


def _store(store: str, owners: Sequence[str], services: Mapping[str, _ServiceState]) -> ComponentCheck:
    """The worst that the store's users say; unknown counts as failed, for nobody can vouch for it."""
    said = [services[owner].stores[store] for owner in owners if store in services[owner].stores]
    if said:
        return _worst(said)
    silent = " and ".join(owners)
    latency_ms = max(services[owner].check.latency_ms for owner in owners)
    return ComponentCheck(status="fail", latency_ms=latency_ms, detail=f"unknown: {silent} did not report it")
