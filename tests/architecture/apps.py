"""Every app without its stores: enough to read its routes and its document."""

import importlib
import os
from collections.abc import Iterator
from functools import cache
from typing import Any
from unittest import mock

from cryptography.fernet import Fernet
from fastapi import FastAPI

from services.topology import SERVICES
from shared.door import GuardedRoute
from shared.errors import Dialect
from shared.web import routes_of

APPS = (*SERVICES, "portal")
Operation = tuple[str, str, str, dict[str, Any]]
"""The app, the method, the path and what the document says of it."""
# Enough for every service's settings; nothing connects to any of it.
ENVIRONMENT = {
    "ENVIRONMENT": "local",
    "REDIS_URL": "redis://127.0.0.1:1",
    "RABBITMQ_URL": "amqp://127.0.0.1:1",
    "DATABASE_URL": "postgresql+asyncpg://127.0.0.1:1/",
    "NEO4J_URL": "bolt://127.0.0.1:1",
    "NEO4J_PASSWORD": "x" * 32,
    "CHROMADB_URL": "http://127.0.0.1:1",
    "LLM_URL": "http://127.0.0.1:1/v1",
    "LLM_MODEL": "none",
    "DATA_DIR": "/nonexistent",
    "CURSOR_SECRET": "x" * 32,
    "GATEWAY_TOKEN": "x" * 32,
    "CLIENT_SECRET": "x" * 32,
    "AUDIT_KEY": "x" * 32,
    "API_KEY_PEPPER": "x" * 32,
    "KEY_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    "SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    "ADMIN_EMAIL": "admin@example.com",
    "ADMIN_PASSWORD": "x" * 32,
    "GATEWAY_STATUS_URL": "http://127.0.0.1:1/ready",
}


def package_of(app: str) -> str:
    return "gateway.portal" if app == "portal" else f"services.{app}"


@cache
def app_of(name: str) -> FastAPI:
    """The app of a service or of the portal, not started."""
    with mock.patch.dict(os.environ, ENVIRONMENT, clear=True):
        app: FastAPI = importlib.import_module(f"{package_of(name)}.main").create_app()
    return app


def dialect_of(operation: Operation) -> Dialect:
    """How the route of the operation words its errors."""
    app, method, path, _ = operation
    routes = (route for route in routes_of(app_of(app)) if isinstance(route, GuardedRoute))
    return next(one.dialect for one in routes if one.path_format == path and method in (one.methods or ()))


def operations(*apps: str) -> Iterator[Operation]:
    """Every operation that these apps document."""
    for app in apps:
        for path, methods in app_of(app).openapi()["paths"].items():
            for method, described in methods.items():
                yield app, method.upper(), path, described
