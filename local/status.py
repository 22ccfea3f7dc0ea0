"""What every component is doing now."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil

from local.components.base import Component
from local.errors import LocalError
from local.outcomes import Status
from local.site import Site
from local.supervision import Supervisor

WORDS = {"STARTING": "starting", "STOPPING": "stopping", "BACKOFF": "failing", "FATAL": "failed", "EXITED": "ended"}


def status_of(site: Site, supervisor: Supervisor, components: Iterable[Component]) -> list[Status]:
    """One status for each component, in their order; all are asked at once."""
    chosen = list(components)
    infos = supervisor.infos()
    with ThreadPoolExecutor(max_workers=max(1, len(chosen)), thread_name_prefix="status") as pool:
        return list(pool.map(lambda component: _status(site, component, infos.get(component.name, {})), chosen))


def _status(site: Site, component: Component, info: dict[str, Any]) -> Status:
    if component.external_url(site):
        complaint = _complaint(site, component)
        return Status(component.name, "unreachable" if complaint else "external", complaint)
    if reason := component.absence(site):
        return Status(component.name, "absent", reason)
    if info.get("statename") not in ("RUNNING", "STARTING"):
        state = WORDS.get(info.get("statename", ""), "stopped")
        return Status(component.name, state, log=site.layout.log(component.name))
    return _running(site, component, info)


def _running(site: Site, component: Component, info: dict[str, Any]) -> Status:
    complaint = _complaint(site, component)
    return Status(
        component=component.name,
        state="not ready" if complaint else "ready",
        detail=complaint,
        port=site.ports[component.ports[0]] if component.ports else None,
        pid=info["pid"],
        uptime_seconds=max(0, info["now"] - info["start"]),
        memory_bytes=_memory(info["pid"]),
        log=site.layout.log(component.name),
    )


def _complaint(site: Site, component: Component) -> str:
    """Why the component does not work; empty when it does."""
    try:
        component.probe(site)
    except LocalError as error:
        return str(error)
    return ""


def _memory(pid: int) -> int | None:
    """Resident memory of the process and all its descendants; None when it has just ended."""
    try:
        process = psutil.Process(pid)
        return sum(_resident(part) for part in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return None


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0  # a child that ended while we were counting holds nothing
