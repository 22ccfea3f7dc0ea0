"""Small services of a test's own, which ask the suite's auth who calls."""

from typing import Any

from local.suite import Suite
from shared.settings import ClientSettings


def settings_of(suite: Suite, **changes: Any) -> ClientSettings:
    """Those of a service that has the secret of agents, and the suite's Redis unless told otherwise."""
    usual = {
        "environment": "local",
        "redis_url": suite.url("redis-cache"),
        "rabbitmq_url": "amqp://127.0.0.1:1",
        "cursor_secret": "c" * 32,
        "client_id": "agents",
        "client_secret": suite.secrets.client_secrets["agents"],
        "discovery": "static",
        "static_services": {"auth": f"http://127.0.0.1:{suite.site.ports['auth']}"},
        "auth_issuer": suite.environment("auth")["AUTH_ISSUER"],
    }
    return ClientSettings(**(usual | changes))
