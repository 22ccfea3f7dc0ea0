"""The app of a service: errors, ids, metrics, health, body limit and document are there before its own routes."""

from shared.web.app import create_service
from shared.web.routing import route_path, routes_of

__all__ = [
    "create_service",
    "route_path",
    "routes_of",
]
