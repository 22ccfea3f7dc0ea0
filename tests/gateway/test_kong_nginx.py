"""What `gateway/nginx.conf` and kong.env tell the nginx in Kong, on a real nginx in front of the stand-ins.

Kong's own template stands around them there; here it is a few lines that do what it does: pass on, and answer 503 by a
handler of errors.
"""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.architecture.conftest import fetch_program
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.gateway.running import REPOSITORY, listens, wait_for

TEMPLATE = """
daemon off;
master_process off;
pid {folder}/pid;
events {{ worker_connections 2048; }}
http {{
    {temporary}
    {http}
    set_real_ip_from 127.0.0.1/32;
    real_ip_header X-Forwarded-For;
    server {{
        listen 127.0.0.1:{port};
        access_log {folder}/access gateway;
        error_page 503 /kong_error_handler;
        add_header X-Request-ID $http_x_request_id always;
        {proxy}
        location / {{ proxy_request_buffering on; proxy_pass {upstream}; }}
        location ~ ^/api/v1/vectors/store$ {{ proxy_request_buffering off; proxy_pass {upstream}; }}
        location = /kong_error_handler {{ internal; return 503 handled; }}
    }}
}}
"""
AGENTS = "/api/v1/agents/create"
LARGE, SMALL, TINY = 2 * 2**20, 20_000, 5_000


def directives(prefix: str) -> str:
    """Those of kong.env for one block, as Kong writes them; what needs Kong itself is left out."""
    lines = (REPOSITORY / "gateway" / "kong.env").read_text().splitlines()
    given = dict(line.removeprefix(prefix).split("=", 1) for line in lines if line.startswith(prefix))
    given = {name.lower(): value for name, value in given.items() if "SSL" not in name and "TEMP_PATH" not in name}
    if "include" in given:
        given["include"] = str(REPOSITORY / "gateway" / "nginx.conf")
    return "\n".join(f"{name} {value};" for name, value in given.items())


@dataclass
class Nginx:
    """One that runs."""

    url: str
    port: int
    folder: Path

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "access").read_text().splitlines()]


@contextmanager
def nginx(folder: Path, upstream: str) -> Iterator[Nginx]:
    program = fetch_program("nginx", "nginx", "usr/sbin/nginx")
    port = free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    text = TEMPLATE.format(
        folder=folder,
        port=port,
        upstream=upstream,
        temporary="\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds),
        http=directives("KONG_NGINX_HTTP_"),
        proxy=directives("KONG_NGINX_PROXY_"),
    )
    configuration = folder / "whole.conf"
    configuration.write_text(text)
    process = subprocess.Popen([program, "-c", str(configuration), "-e", str(folder / "errors")])
    try:
        wait_for(lambda: process.poll() is not None or listens(port), "nginx")
        assert process.poll() is None, (folder / "errors").read_text()
        yield Nginx(f"http://127.0.0.1:{port}", port, folder)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def edge(tmp_path: Path, services: dict[str, str]) -> Iterator[Nginx]:
    with nginx(tmp_path, services["agents"]) as running:
        yield running


def begin(running: Nginx, path: str, *headers: str) -> socket.socket:
    """A request whose body never comes."""
    connection = socket.create_connection(("127.0.0.1", running.port))
    connection.sendall("\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode())
    return connection


def post(url: str, body: bytes | Iterator[bytes], headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.post(url, content=body, headers=headers, timeout=PATIENCE_SECONDS, verify=authorities())


def is_refused(running: Nginx, path: str, body: bytes | Iterator[bytes], source: str) -> bool:
    answer = post(f"{running.url}{path}", body, {"X-Forwarded-For": source})
    assert answer.status_code in {200, 503}
    return answer.status_code == 503


def pieces(size: int) -> Iterator[bytes]:
    yield b"x" * size


@pytest.mark.parametrize(
    ("framing", "of_one", "of_all"),
    [
        ("Transfer-Encoding: chunked", 6, 24),
        (f"Content-Length: {LARGE}", 16, 64),
        (f"Content-Length: {SMALL}", 128, 512),
    ],
)
def test_bodies_that_are_kept_are_bounded_for_one_and_for_all(
    edge: Nginx, framing: str, of_one: int, of_all: int
) -> None:
    """Of each kind for itself: whoever fills one takes nothing from who sends another."""
    size = int(framing.rpartition(" ")[2]) if framing.startswith("Content") else None
    body = b"x" * size if size else None

    def refused(source: str) -> bool:
        return is_refused(edge, AGENTS, body or pieces(100), source)

    with ExitStack() as open_ones:
        for address in range(of_all // of_one):
            for _ in range(of_one):
                connection = begin(edge, AGENTS, framing, f"X-Forwarded-For: 203.0.113.{address}")
                open_ones.enter_context(closing(connection))
            if address == 0:
                wait_for(lambda: refused("203.0.113.0"), "the share of one address")
                assert not refused("198.51.100.1")
        wait_for(lambda: refused("198.51.100.1"), "all of them")

        others = [size for size in (LARGE, SMALL, TINY) if f"Content-Length: {size}" != framing]
        assert not any(is_refused(edge, AGENTS, b"x" * size, "203.0.113.0") for size in others)
    wait_for(lambda: not refused("203.0.113.0"), "those to be let go")


def test_a_body_that_is_passed_on_is_kept_nowhere_and_not_counted(edge: Nginx) -> None:
    with ExitStack() as open_ones:
        for _ in range(20):
            connection = begin(edge, "/api/v1/vectors/store", f"Content-Length: {LARGE}")
            open_ones.enter_context(closing(connection))
            connection.sendall(b"x" * 2**20)

        assert not is_refused(edge, "/api/v1/vectors/store", b"x" * LARGE, "127.0.0.1")
        assert [file for file in (edge.folder / "client_body").rglob("*") if file.is_file()] == []


@pytest.mark.parametrize(
    "path", ["/api/v1/agents/..%2Fvectors%2Fstore", "/api/v1/vectors/files/..%2Fa", "/x?/api/v1/vectors/store"]
)
def test_a_path_that_only_looks_like_one_that_is_passed_on_is_counted(edge: Nginx, path: str) -> None:
    with ExitStack() as open_ones:
        for _ in range(16):
            open_ones.enter_context(closing(begin(edge, path, f"Content-Length: {LARGE}")))

        wait_for(lambda: is_refused(edge, path, b"x" * LARGE, "127.0.0.1"), "its share")


def test_a_refusal_goes_through_kongs_handler_of_errors(edge: Nginx) -> None:
    with ExitStack() as open_ones:
        for _ in range(6):
            open_ones.enter_context(closing(begin(edge, AGENTS, "Transfer-Encoding: chunked")))
        wait_for(lambda: is_refused(edge, AGENTS, pieces(9), "127.0.0.1"), "a refusal")

        answer = post(f"{edge.url}{AGENTS}?q=secret", pieces(9))

    assert (answer.status_code, answer.text) == (503, "handled")
    wait_for(lambda: any(entry["status"] == 503 for entry in edge.log()), "the log")
    assert {entry["path"] for entry in edge.log() if entry["status"] == 503} == {AGENTS}


def test_the_log_has_the_id_and_no_query(edge: Nginx, services: dict[str, str]) -> None:
    httpx.get(
        f'{edge.url}/api/v1/agents/list%22?q=secret"',
        headers={"X-Request-ID": "find-me"},
        timeout=PATIENCE_SECONDS,
        verify=authorities(),
    )
    wait_for(lambda: bool(edge.log()), "the log")

    [entry] = edge.log()
    assert (entry["request_id"], entry["path"], entry["method"]) == ("find-me", "/api/v1/agents/list%22", "GET")
    assert (entry["status"], f"http://{entry['upstream']}") == (200, services["agents"])
    assert "secret" not in (edge.folder / "access").read_text()


def test_large_headers_of_a_service_arrive(edge: Nginx) -> None:
    """The stand-in repeats the path in a header of its answer."""
    answer = httpx.get(f"{edge.url}/{'x' * 7_000}", timeout=PATIENCE_SECONDS, verify=authorities())

    assert answer.status_code == 200
    assert len(answer.headers["x-seen"]) > 7_000
