"""The app of a service: errors, ids, metrics, health, body limit and document are there before its own routes."""

from shared.web.app import create_service
from shared.web.routing import route_path, routes_of
from shared.web.streaming import (
    EVENT_STREAM,
    HEARTBEAT,
    STREAM_HEADERS,
    Followed,
    LastEventId,
    Listener,
    event_frame,
    event_stream,
)

__all__ = [
    "EVENT_STREAM",
    "HEARTBEAT",
    "STREAM_HEADERS",
    "Followed",
    "LastEventId",
    "Listener",
    "create_service",
    "event_frame",
    "event_stream",
    "route_path",
    "routes_of",
]
