"""Looks, before anything starts, whether another program has taken a port."""

from collections.abc import Iterable

import psutil

from local.components.base import Component
from local.errors import PortTaken
from local.ports import LOOPBACK, is_free
from local.site import Site
from local.supervision import ALIVE, Supervisor


def check_ports(site: Site, components: Iterable[Component], supervisor: Supervisor) -> None:
    """Raises PortTaken that names every taken port, its component and its holder."""
    running = {name for name, info in supervisor.infos().items() if info["statename"] in ALIVE}
    starting = [component for component in components if starts_here(site, component) and component.name not in running]
    taken = [
        f"port {site.ports[port]} of {component.name} is taken by {_holder(site.ports[port])}"
        for component in starting
        for port in component.ports
        if not is_free(site.ports[port], site.bind if port == "gateway" else LOOPBACK)
    ]
    if taken:
        advice = "stop it, or choose other ports: SUTAZAI_PORT_BASE=11200 make up"
        raise PortTaken("; ".join(taken) + f" ({advice})")


def starts_here(site: Site, component: Component) -> bool:
    """Whether `up` starts it, neither the caller's own nor done without."""
    return component.external_url(site) is None and component.absence(site) is None


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another program"
