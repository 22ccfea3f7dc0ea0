"""What `up` looks at before it restarts a component that is alive and does not work."""

import contextlib
import shutil
import threading
from typing import Final

import psutil

from local.components.base import Component
from local.errors import LocalError, NotReady
from local.site import Site

WORK_SECONDS: Final = 15.0


def verify(component: Component, site: Site) -> None:
    """Has it do its work, for `WORK_SECONDS` at most. Raises NotReady.

    In a thread that may be left behind: not every driver bounds every wait on a server that says nothing.
    """
    outcome: list[LocalError | None] = []

    def work() -> None:
        try:
            component.verify(site)
        except LocalError as error:
            outcome.append(error)
        except Exception as error:  # noqa: BLE001 - a server that is broken may answer anything
            outcome.append(NotReady(f"{type(error).__name__}: {error}"))
        else:
            outcome.append(None)

    thread = threading.Thread(target=work, daemon=True, name=f"verify {component.name}")
    thread.start()
    thread.join(WORK_SECONDS)
    if not outcome:
        raise NotReady(f"its work did not end within {WORK_SECONDS:.0f} s")
    if outcome[0]:
        raise outcome[0]


def is_frozen(pid: int) -> bool:
    """Whether somebody stopped the process, or one of its descendants, with SIGSTOP."""
    return any(_is_stopped(process) for process in _tree(pid))


def thaw(pid: int) -> None:
    """Lets all of its processes go on, so that they hear that they are to end."""
    for process in _tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself
            process.resume()


def fullness(component: Component, site: Site) -> str:
    """Why a restart cannot help: the disk under its data is full; empty where it is not."""
    folder = site.layout.home / component.name
    if not folder.exists():
        return ""
    free = shutil.disk_usage(folder).free
    if free >= component.least_free_bytes:
        return ""
    return f"only {free / 2**20:.0f} MB are free under {folder}"


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _is_stopped(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False
