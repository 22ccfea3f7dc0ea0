"""Finding services: registration in Consul, last known addresses by blocking query, and ejection of what fails."""

from shared.discovery.balancer import Balancer
from shared.discovery.consul import TokenRefused
from shared.discovery.following import ConsulDiscovery
from shared.discovery.keys import ConsulKeys, Kept
from shared.discovery.ports import Discovery
from shared.discovery.registration import Registration
from shared.discovery.static import StaticDiscovery
from shared.discovery.watching import ConsulWatch, Instance

__all__ = [
    "Balancer",
    "ConsulDiscovery",
    "ConsulKeys",
    "ConsulWatch",
    "Discovery",
    "Instance",
    "Kept",
    "Registration",
    "StaticDiscovery",
    "TokenRefused",
]
