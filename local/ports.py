"""Which component listens where: one base, fixed distances, so that a second suite needs only another base."""

import socket
from dataclasses import dataclass
from typing import Final

from services.topology import GATEWAY_PORT, PORTAL_PORT, SERVICES

OFFSETS: Final[dict[str, int]] = {
    "gateway": 0,
    **{name: service.port - GATEWAY_PORT for name, service in SERVICES.items()},
    "portal": PORTAL_PORT - GATEWAY_PORT,
    "gateway_admin": 7,
    "erlang_distribution": 8,
    "epmd": 9,
    "postgres": 10,
    "redis": 11,
    "rabbitmq": 12,
    "rabbitmq_management": 13,
    "consul": 14,
    "consul_dns": 15,
    "neo4j": 16,
    "chromadb": 17,
    "llm": 18,
    "tasks_worker": 19,
    "redis_cache": 20,
    "faiss": 21,
    "traces": 22,
    "consul_server": 30,
    "consul_serf": 31,
}
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """The ports of one suite."""

    base: int

    def __getitem__(self, name: str) -> int:
        return self.base + OFFSETS[name]


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now; a connection that merely lingers does not count as taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
