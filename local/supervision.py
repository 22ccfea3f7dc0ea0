"""The process manager that keeps the suite running after `make up` has ended: supervisord, and a client to it."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
import xmlrpc.client
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from local.components.base import Component
from local.errors import SupervisorFailed
from local.layout import Layout, python
from local.programs import configuration

CALL_SECONDS: Final = 60.0  # it answers at once, but where the machine stands still for a while
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 90.0  # longer than any has before it is killed
ALIVE: Final = ("STARTING", "RUNNING", "STOPPING", "BACKOFF")
BAD_NAME: Final = 10
ALREADY_STARTED: Final = 60
NOT_RUNNING: Final = 70
NOT_STARTED: Final = (NOT_RUNNING, BAD_NAME)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        # Kept where `close` of the base looks for it; otherwise the socket would wait for the garbage collector.
        connection = _UnixConnection(self._path)
        self._connection = (host, connection)
        return connection


class Supervisor:
    """The process manager of one suite. Safe to call from several threads: each call has its own connection."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def is_running(self) -> bool:
        """Whether it answers."""
        try:
            self._call("getState")
        except SupervisorFailed:
            return False
        return True

    def ensure_running(self, components: Iterable[Component]) -> None:
        """Starts it as a daemon, or brings a running one up to date.

        Raises SupervisorFailed when it does not come, and when it is another user's, who cannot start what is ours.
        """
        is_running = self.is_running()
        if is_running and (uid := psutil.Process(self._call("getPID")).uids().real) != os.geteuid():
            raise SupervisorFailed(f"what runs was started by another user (uid {uid}): `make down` first")
        configured = self._configure(components)
        if not is_running:
            self._start()
        elif configured:
            self._update()

    def start(self, component: str) -> None:
        """Asks for the process and returns at once; starting what runs changes nothing."""
        self._call("startProcess", component, False, tolerated=(ALREADY_STARTED,))

    def stop(self, component: str) -> None:
        """Stops the process, by force after its `stop_seconds`, and returns when it is gone."""
        self._call("stopProcess", component, False, tolerated=NOT_STARTED)
        self._wait_until_stopped(component)

    def kill(self, component: str) -> None:
        """Kills the process and its children with SIGKILL, without a chance to clean up, and without a restart.

        It is frozen first: the supervisor's own polite signal stays undelivered, and it counts the death as asked for.
        Returns when all of them are gone, and their ports with them.
        """
        pid, family = self.info(component)["pid"], self._family(component)
        if not pid:
            return
        os.killpg(pid, signal.SIGSTOP)
        self._call("stopProcess", component, False, tolerated=NOT_STARTED)
        os.killpg(pid, signal.SIGKILL)
        _kill(family)
        self._wait_until_stopped(component)

    def freeze(self, component: str) -> None:
        """Stops the process and all below it where they are (SIGSTOP): alive, and silent, until `thaw`."""
        for process in self._family(component):
            process.suspend()

    def thaw(self, component: str) -> None:
        """Has the process and all below it go on."""
        for process in self._family(component):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself
                process.resume()

    def is_frozen(self, component: str) -> bool:
        """Whether somebody stopped the process, or one of those below it, with SIGSTOP."""
        return any(_status(process) == psutil.STATUS_STOPPED for process in self._family(component))

    def kill_all(self) -> None:
        """Kills every process there is with SIGKILL, this process manager first, as when the machine stops."""
        families = [process for name in self.infos() for process in self._family(name)]
        try:
            manager = psutil.Process(self._call("getPID"))
        except SupervisorFailed:  # nothing runs
            return
        _kill([manager, *families])
        psutil.wait_procs(families, timeout=STOP_SECONDS)  # by init: PostgreSQL takes a zombie for a server that runs

    def _family(self, component: str) -> list[psutil.Process]:
        """The process and its descendants, whatever group they are in; nobody where it does not run."""
        pid = self.info(component)["pid"]
        try:
            head = psutil.Process(pid) if pid else None
            return [head, *head.children(recursive=True)] if head else []
        except psutil.NoSuchProcess:
            return []

    def info(self, component: str) -> dict[str, Any]:
        """The supervisor's view of one process; a process it does not know is STOPPED."""
        try:
            found: dict[str, Any] | None = self._call("getProcessInfo", component, tolerated=(BAD_NAME,))
        except SupervisorFailed:
            found = None
        return found or {"statename": "STOPPED", "pid": 0, "start": 0}

    def infos(self) -> dict[str, dict[str, Any]]:
        """The supervisor's view of all processes by name; nothing when it does not run."""
        try:
            return {info["name"]: info for info in self._call("getAllProcessInfo")}
        except SupervisorFailed:
            return {}

    def shutdown(self) -> None:
        """Ends the process manager and what it still runs; returns when it is gone."""
        pid = self._call("getPID")
        self._call("shutdown")
        deadline = time.monotonic() + STOP_SECONDS
        while _exists(pid):
            if time.monotonic() > deadline:
                raise SupervisorFailed(f"the process manager (pid {pid}) does not end")
            time.sleep(0.05)

    def _wait_until_stopped(self, component: str) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while self.info(component)["statename"] in ALIVE:
            if time.monotonic() > deadline:
                raise SupervisorFailed(f"{component} does not end")
            time.sleep(0.05)

    def _call(self, method: str, *arguments: Any, tolerated: tuple[int, ...] = ()) -> Any:
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(self._layout.socket))
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode in tolerated:
                return None
            raise SupervisorFailed(f"{method}{arguments}: {fault.faultString}") from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise SupervisorFailed(f"the process manager does not answer: {error}") from error
        finally:
            proxy("close")()

    def _configure(self, components: Iterable[Component]) -> bool:
        """Writes the configuration; True when it differs from what was there."""
        file = self._layout.run / "supervisord.conf"
        text = configuration(self._layout, components)
        if file.exists() and file.read_text() == text:
            return False
        file.write_text(text)
        return True

    def _start(self) -> None:
        command = [python(), "-m", "supervisor.supervisord", "-c", str(self._layout.run / "supervisord.conf")]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        try:
            subprocess.run(command, env=environment, cwd="/", check=True, capture_output=True, text=True, timeout=60)
        except subprocess.CalledProcessError as error:
            raise SupervisorFailed(f"the process manager does not start: {error.stderr or error.stdout}") from error
        deadline = time.monotonic() + START_SECONDS
        while not self.is_running():
            if time.monotonic() > deadline:
                raise SupervisorFailed(f"the process manager does not answer; see {self._layout.log('supervisord')}")
            time.sleep(0.02)

    def _update(self) -> None:
        """Makes a running process manager follow a changed configuration; changed programs are stopped."""
        ((added, changed, removed),) = self._call("reloadConfig")
        for group in (*changed, *removed):
            self.stop(group)
            self._call("removeProcessGroup", group)
        for group in (*added, *changed):
            self._call("addProcessGroup", group)


def _kill(processes: Sequence[psutil.Process]) -> None:
    """Kills those that are left of them, and waits until none is; raises SupervisorFailed when one stays."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + STOP_SECONDS
    while any(_lives(process) for process in processes):
        if time.monotonic() > deadline:
            raise SupervisorFailed("a process is not to be killed")
        time.sleep(0.02)


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return ""


def _lives(process: psutil.Process) -> bool:
    """Whether it still holds its ports and files.

    A dead process that nobody has asked after does not, unless its other threads are still dying: then only the first
    of them is a zombie.
    """
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
