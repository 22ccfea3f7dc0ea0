"""Starts the peers of T1 to T3, each on a database of its own, and a virtual host where it has a broker."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psutil

from bench.peers.starting import PROGRAMS, PYTHON, install
from bench.servers import UVICORN, Server, free_port, serving
from bench.tasking import Kept

_STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Peer:
    """How one is started and found."""

    name: str
    module: str
    worker: Sequence[str]
    kept: Kept
    prepare: Sequence[str] = ()


PEERS = (
    Peer(
        "Celery",
        "celery_app",
        ("-m", "celery", "-A", "celery_app:tasks", "worker", "-c", "2", "-l", "ERROR"),
        Kept(
            "SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'",
            # Of the pickle it keeps the digits are text.
            "SELECT substring(encode(result, 'escape') from '[0-9]+[.][0-9]{6}')::float8 FROM celery_taskmeta "
            "WHERE status = 'SUCCESS' ORDER BY id DESC LIMIT $1",
            "SELECT task_id FROM celery_taskmeta WHERE status = 'SUCCESS' ORDER BY id DESC LIMIT $1",
        ),
    ),
    Peer(
        "Taskiq",
        "taskiq_app",
        ("-m", "taskiq", "worker", "taskiq_app:broker", "--ack-type", "when_saved", "--log-level", "ERROR"),
        Kept(
            "SELECT count(*) FROM result WHERE NOT is_err",
            "SELECT value::text::float8 FROM result WHERE NOT is_err ORDER BY at DESC LIMIT $1",
            "SELECT id FROM result WHERE NOT is_err ORDER BY at DESC LIMIT $1",
        ),
    ),
    Peer(
        "Procrastinate",
        "procrastinate_app",
        ("-m", "procrastinate", "--log-level=warning", "--app=procrastinate_app.tasks", "worker", "--concurrency=32"),
        Kept(
            "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'",
            "SELECT extract(epoch FROM started.at - job.at)::float8 FROM procrastinate_events AS started "
            "JOIN procrastinate_events AS job ON job.job_id = started.job_id AND job.type = 'deferred' "
            "WHERE started.type = 'started' ORDER BY started.job_id DESC LIMIT $1",
            "SELECT id FROM procrastinate_jobs WHERE status = 'succeeded' ORDER BY id DESC LIMIT $1",
        ),
        prepare=("-m", "procrastinate", "--app=procrastinate_app.tasks", "schema", "--apply"),
    ),
)


@contextmanager
def peer_api(peer: Peer, database_url: str, broker_url: str) -> Iterator[tuple[Server, Mapping[str, str]]]:
    """What is submitted to, and the environment that its worker needs too."""
    install()
    environment = {**os.environ, "PEER_DATABASE_URL": database_url, "PEER_BROKER_URL": broker_url}
    if peer.prepare:
        subprocess.run([PYTHON, *peer.prepare], cwd=PROGRAMS, env=environment, check=True, timeout=60)
    port = free_port()
    arguments = [*UVICORN, f"{peer.module}:app", "--port", str(port), "--log-level", "warning"]
    with serving(arguments, environment, port=port, python=PYTHON, directory=PROGRAMS) as server:
        yield server, environment


@contextmanager
def peer_worker(peer: Peer, environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    """Ready or not: the round that warms up waits for it."""
    with ExitStack() as stack:
        command = [str(PYTHON), *peer.worker]
        process = subprocess.Popen(command, cwd=PROGRAMS, env=dict(environment), stdout=subprocess.DEVNULL)
        stack.callback(process.wait, _STOP_SECONDS)
        stack.callback(process.terminate)
        yield psutil.Process(process.pid)
