"""Small clients that ask a server once whether it answers; each raises NotReady with the reason.

Whether it also does its work is asked by `local.works`.

The store drivers are imported where they are used: together they take seconds to load, and `make status` needs few.
"""

import base64
import http.client
import json
import socket
import ssl
import subprocess
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, LiteralString

from local.errors import NotReady

TIMEOUT_SECONDS: Final = 2.0
BODY_BYTES: Final = 1 << 20


class Ours(http.client.HTTPSConnection):
    """By TLS, to whoever has the certificate of `process` from `authority`, whatever the address."""

    def __init__(self, host: str, port: int | None, process: str, authority: Path) -> None:
        super().__init__(host, port, timeout=TIMEOUT_SECONDS)
        self._process, self._believed = process, ssl.create_default_context(cafile=authority)

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._believed.wrap_socket(self.sock, server_hostname=self._process)


def get(url: str, expected: tuple[int, ...] = (200,)) -> bytes:
    """The body of an HTTP answer with one of the expected statuses."""
    return ask("GET", url, expected=expected)


def get_ours(url: str, process: str, authority: Path) -> bytes:
    """The same of one of our own processes, by TLS."""
    parts = urllib.parse.urlsplit(url)
    return _answer(Ours(parts.hostname or "", parts.port, process, authority), "GET", parts)


def ask(
    method: str,
    url: str,
    content: bytes | None = None,
    expected: tuple[int, ...] = (200,),
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The body of an HTTP answer with one of the expected statuses; user and password of the URL are sent."""
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    return _answer(connection, method, parts, content, expected, headers or {})


def _answer(
    connection: http.client.HTTPConnection,
    method: str,
    parts: urllib.parse.SplitResult,
    content: bytes | None = None,
    expected: tuple[int, ...] = (200,),
    headers: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, content, _headers(parts) | dict(headers))
        response = connection.getresponse()
        body = response.read(BODY_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{method} {parts.path or '/'}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if response.status not in expected:
        raise NotReady(f"{method} {parts.path} answers {response.status}: {body[:500].decode(errors='replace')}")
    return body


def quoted(text: str) -> str:
    """One segment of a path."""
    return urllib.parse.quote(text, safe="")


def _headers(parts: urllib.parse.SplitResult) -> dict[str, str]:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if parts.username:
        user = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    return headers


def consul_leader(url: str) -> None:
    """Consul answers and has elected a leader; before that it accepts no registration."""
    if not json.loads(get(f"{url.rstrip('/')}/v1/status/leader")):
        raise NotReady("no leader yet")


def tcp(host: str, port: int) -> None:
    """Something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=TIMEOUT_SECONDS).close()
    except OSError as error:
        raise NotReady(f"{host}:{port}: {error}") from error


def postgres(psql: str, url: str, statements: str = "SELECT 1") -> None:
    """The statements in one transaction, with a password that goes by the environment and not by the command line."""
    parts = urllib.parse.urlsplit(url)
    command = [psql, "--no-psqlrc", "--no-password", "-qtAX", "-c", statements, "-d", "postgres"]
    environment = {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": urllib.parse.unquote(parts.username or ""),
        "PGPASSWORD": urllib.parse.unquote(parts.password or ""),
        "PGCONNECT_TIMEOUT": "2",
        "PGOPTIONS": "-c client_min_messages=error",
    }
    try:
        subprocess.run(command, env=environment, timeout=5, capture_output=True, check=True, text=True)
    except subprocess.CalledProcessError as error:
        raise NotReady(str(error.stderr).strip()) from error
    except subprocess.TimeoutExpired as error:
        raise NotReady("no answer within 5 s") from error
    except OSError as error:
        raise NotReady(str(error)) from error


def redis(url: str) -> None:
    """PING, authenticated; a server that still loads its data refuses it."""
    from redis import Redis, RedisError

    with Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS) as client:
        try:
            client.ping()
        except RedisError as error:
            raise NotReady(str(error)) from error


def bolt(url: str, user: str, password: str, statement: LiteralString = "RETURN 1") -> None:
    """Bolt handshake, authentication and one statement."""
    from neo4j import GraphDatabase
    from neo4j.exceptions import DriverError, Neo4jError

    options: dict[str, Any] = {
        "connection_timeout": TIMEOUT_SECONDS,
        "connection_acquisition_timeout": TIMEOUT_SECONDS,
        "max_transaction_retry_time": 0,
    }
    with GraphDatabase.driver(url, auth=(user, password), **options) as driver:
        try:
            driver.execute_query(statement, database_="neo4j")
        except (DriverError, Neo4jError, OSError) as error:
            raise NotReady(str(error)) from error


def amqp(url: str) -> None:
    """Opens the virtual host with user and password, which a broker permits only once it has booted."""
    from local.amqp import open_virtual_host

    try:
        open_virtual_host(*amqp_place(url), TIMEOUT_SECONDS)
    except OSError as error:
        raise NotReady(str(error)) from error


def amqp_place(url: str) -> tuple[tuple[str, int], tuple[str, str], str]:
    """Address, credentials and virtual host of an AMQP URL."""
    parts = urllib.parse.urlsplit(url)
    credentials = (urllib.parse.unquote(parts.username or "guest"), urllib.parse.unquote(parts.password or "guest"))
    return (parts.hostname or "", parts.port or 5672), credentials, urllib.parse.unquote(parts.path[1:]) or "/"
