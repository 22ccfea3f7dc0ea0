"""Streams as fast as they come, from a process of its own that only looks for where text begins and a body ends.

`python -m bench.streams` takes its order as JSON on the first line of stdin and prints what it found.
"""

import asyncio
import base64
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psutil
import uvloop

from bench.load import Request, not_busy
from bench.row import Load
from bench.servers import cpu_seconds, machine_seconds, rss_mib
from local.layout import REPOSITORY

_END = b"\r\n0\r\n\r\n"
_LONGEST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Streaming:
    """Streams to ask for: `first` stands in the first piece of text, `last` in every stream that ended well."""

    requests: Sequence[Request]
    first: str
    last: str


def run_streams(
    what: Streaming,
    *,
    connections: int,
    seconds: int,
    servers: Sequence[psutil.Process],
    beside: Sequence[psutil.Process] = (),
    busy_client: bool = False,
) -> Load:
    """Asks for streams over and over; p50 and p99 are of the time to the first piece of text.

    What runs `beside` the measured servers for them is nobody else's. Raises RuntimeError when any stream failed, or
    the client was the bottleneck and not `busy_client`, which says that it may be.
    """
    address = urlsplit(what.requests[0].url)
    order = {
        "host": address.hostname,
        "port": address.port,
        "requests": [base64.b64encode(_written(each)).decode() for each in what.requests],
        "first": what.first,
        "last": what.last,
        "connections": connections,
        "seconds": seconds,
    }
    spent, theirs, machine = cpu_seconds(servers), cpu_seconds(beside), machine_seconds()
    ended = subprocess.run(
        [sys.executable, "-m", "bench.streams"],
        cwd=REPOSITORY,
        input=json.dumps(order) + "\n",
        text=True,
        stdout=subprocess.PIPE,
        timeout=seconds + 2 * _LONGEST_SECONDS,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"streams of {what.requests[0].url} failed")
    found = json.loads(ended.stdout)
    spent, theirs = cpu_seconds(servers) - spent, cpu_seconds(beside) - theirs
    machine = machine_seconds() - machine
    others = max(0.0, machine - spent - theirs - found["cpu_share"] * found["elapsed"])
    share: float = found["cpu_share"]
    return Load(
        requests_per_second=found["streams"] / found["elapsed"],
        p50_us=found["p50_us"],
        p99_us=found["p99_us"],
        client_cpu_share=share if busy_client else not_busy(share),
        cpu_us_per_request=spent * 1e6 / found["streams"],
        rss_mib=rss_mib(servers),
        others_cpu_share=others / found["elapsed"] / (psutil.cpu_count() or 1),
    )


def _written(request: Request) -> bytes:
    address = urlsplit(request.url)
    body = (request.body or "").encode() if not isinstance(request.body, bytes) else request.body
    headers = {"Host": address.netloc, "Content-Length": str(len(body)), "Content-Type": "application/json"}
    told = [f"{name}: {value}" for name, value in (headers | dict(request.headers)).items()]
    lines = [f"POST {address.path} HTTP/1.1", *told]
    return "\r\n".join([*lines, "", ""]).encode() + body


# --- The process ------------------------------------------------------------------------------------------------------


@dataclass
class _Found:
    """Seconds to the first piece of each stream, and what went wrong."""

    firsts: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def _ask(order: dict[str, object], requests: list[bytes], own: int, until: float, found: _Found) -> None:
    first, last = str(order["first"]).encode(), str(order["last"]).encode()
    reader, writer = await asyncio.open_connection(str(order["host"]), int(str(order["port"])))
    number = own
    while time.perf_counter() < until and not found.failures:
        asked_at = time.perf_counter()
        writer.write(requests[number % len(requests)])
        number += int(str(order["connections"]))
        seen, first_at = b"", 0.0
        async with asyncio.timeout(_LONGEST_SECONDS):
            while not seen.endswith(_END):
                part = await reader.read(65_536)
                if not part:
                    break
                seen += part
                if b" 200 " not in seen[:20]:  # whose body need not be in chunks
                    seen += await reader.read(65_536) if b"{" not in seen else b""
                    break
                if not first_at and first in seen:
                    first_at = time.perf_counter()
        if not first_at or last not in seen or b" 200 " not in seen[:20]:
            found.failures.append(seen[:2_000].decode("utf-8", "replace"))
            break
        found.firsts.append(first_at - asked_at)
    writer.close()


async def _run(order: dict[str, Any]) -> tuple[_Found, float]:
    requests = [base64.b64decode(each) for each in order["requests"]]
    found, began = _Found(), time.perf_counter()
    until = began + float(str(order["seconds"]))
    async with asyncio.TaskGroup() as group:
        for own in range(int(str(order["connections"]))):
            group.create_task(_ask(order, requests, own, until, found))
    return found, time.perf_counter() - began


def main() -> None:
    order = json.loads(sys.stdin.readline())
    cpu = time.process_time()
    found, elapsed = uvloop.run(_run(order))
    if found.failures:
        sys.exit(f"{len(found.failures)} failed after {len(found.firsts)}: {found.failures[0]}")
    if len(found.firsts) < 2:
        sys.exit(f"{len(found.firsts)} ended in {elapsed:.0f} s: too few to tell anything")
    cuts = statistics.quantiles(found.firsts, n=100)
    printed = {
        "streams": len(found.firsts),
        "elapsed": elapsed,
        "p50_us": cuts[49] * 1e6,
        "p99_us": cuts[98] * 1e6,
        "cpu_share": (time.process_time() - cpu) / elapsed,
    }
    print(json.dumps(printed))


if __name__ == "__main__":
    main()
