"""Finding services: registration in Consul, last known addresses by blocking query, and ejection of what fails."""

from shared.discovery.balancer import Balancer
from shared.discovery.following import ConsulDiscovery
from shared.discovery.ports import Discovery
from shared.discovery.registration import Registration
from shared.discovery.static import StaticDiscovery

__all__ = [
    "Balancer",
    "ConsulDiscovery",
    "Discovery",
    "Registration",
    "StaticDiscovery",
]
