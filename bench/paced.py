"""Load at a steady rate, from a process of its own; the latency counts from when a request was due, not when it left.

A client that waits for its answers slows down together with the server and never sees the queue it would have stood in.
This one sends on time whatever is still open. `python -m bench.paced` takes its order as JSON on the first line of
stdin, says `ready`, and begins at the next line.
"""

import asyncio
import contextlib
import json
import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp

from bench.load import not_busy
from bench.row import Load
from local.layout import REPOSITORY

_ANSWER_SECONDS = 30
_NICENESS = -10


class PacedClient:
    """A client that has its order and waits for the word."""

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        self._process, self._seconds = process, seconds

    def begin(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Nothing is sent from now on, though the time may not be over."""
        with contextlib.suppress(BrokenPipeError):
            self.begin()

    def result(self) -> Load:
        """Waits for the end. Raises RuntimeError when a request failed or the client could not keep its pace."""
        printed, _ = self._process.communicate(timeout=self._seconds + 2 * _ANSWER_SECONDS)
        if self._process.returncode:
            raise RuntimeError("the paced client failed")
        found = json.loads(printed)
        return Load(
            requests_per_second=found["requests_per_second"],
            p50_us=found["p50_us"],
            p99_us=found["p99_us"],
            client_cpu_share=not_busy(found["cpu_share"]),
        )


@contextmanager
def paced(
    url: str, headers: Sequence[Mapping[str, str]], *, rate: int, seconds: float, body: str | None = None
) -> Iterator[PacedClient]:
    """A client that will send GETs to `url`, or POSTs of `body`, with each of `headers` in turn, `rate` a second."""
    order = {"url": url, "headers": [dict(each) for each in headers], "rate": rate, "seconds": seconds, "body": body}
    command = [sys.executable, "-m", "bench.paced"]
    process = subprocess.Popen(command, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the paced client did not start")
        yield PacedClient(process, seconds)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


# --- The process ------------------------------------------------------------------------------------------------------


@dataclass
class _Answers:
    """Seconds from due to answered, and what went wrong."""

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def run(
    url: str,
    headers: Sequence[Mapping[str, str]],
    rate: int,
    seconds: float,
    ended: Callable[[], bool] = lambda: False,
    body: str | None = None,
) -> _Answers:
    """Sends on time, until it is `ended`, and waits for every answer."""
    answers, tasks = _Answers(), set[asyncio.Task[None]]()
    loop = asyncio.get_running_loop()
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:

        def send(number: int, due: float) -> None:
            task = loop.create_task(_send(session, url, headers[number % len(headers)], body, due, answers))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        await asyncio.to_thread(_keep_pace, loop, send, rate, seconds, ended)
        await asyncio.sleep(0)  # the last one was only scheduled
        while tasks:
            await asyncio.wait(set(tasks))
    return answers


def _keep_pace(
    loop: asyncio.AbstractEventLoop,
    send: Callable[[int, float], None],
    rate: int,
    seconds: float,
    ended: Callable[[], bool],
) -> None:
    """In a thread: the loop's own timers are whole milliseconds late, and that would count as latency."""
    began = time.perf_counter()
    for number in range(round(rate * seconds)):
        due = began + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        if ended():
            return
        loop.call_soon_threadsafe(send, number, due)


async def _send(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    body: str | None,
    due: float,
    answers: _Answers,
) -> None:
    method = "GET" if body is None else "POST"
    try:
        async with session.request(method, url, headers=headers, data=body) as response:
            await response.read()
            response.raise_for_status()
    except (aiohttp.ClientError, TimeoutError) as error:
        answers.failures.append(repr(error))
    answers.latencies.append(time.perf_counter() - due)


def _is_told_to_end() -> bool:
    """Whether another line has come; that none will come any more is no such word."""
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(readable) and bool(sys.stdin.readline())


def main() -> None:
    order = json.loads(sys.stdin.readline())
    with contextlib.suppress(PermissionError):  # what is measured is the server's delay, not our own wait for a core
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu = time.perf_counter(), time.process_time()
    answers = asyncio.run(run(**order, ended=_is_told_to_end))
    elapsed = time.perf_counter() - began
    if answers.failures:
        sys.exit(f"{len(answers.failures)} of {len(answers.latencies)} failed: {answers.failures[0]}")
    cuts = statistics.quantiles(answers.latencies, n=100)
    found = {
        "requests_per_second": len(answers.latencies) / elapsed,
        "p50_us": cuts[49] * 1e6,
        "p99_us": cuts[98] * 1e6,
        "cpu_share": (time.process_time() - cpu) / elapsed,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
