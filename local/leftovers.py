"""Finds processes of this suite that no process manager looks after any more, and ends them."""

import contextlib
from typing import Final

import psutil

from local.launching import MARK
from local.layout import Layout
from local.supervision import Supervisor

GRACE_SECONDS: Final = 10.0


def end_orphans(layout: Layout, supervisor: Supervisor) -> int:
    """Ends what a process manager that died left behind; does nothing while one runs. Returns how many there were."""
    if supervisor.is_running():
        return 0
    orphans = processes_of(layout)
    for process in orphans:
        _signal(process, force=False)
    _, stubborn = psutil.wait_procs(orphans, timeout=GRACE_SECONDS)
    for process in stubborn:
        _signal(process, force=True)
    psutil.wait_procs(stubborn, timeout=GRACE_SECONDS)
    return len(orphans)


def processes_of(layout: Layout) -> list[psutil.Process]:
    """Every process that carries the mark of this suite, with all its descendants: PostgreSQL's lose the mark."""
    marked = [process for process in psutil.process_iter() if _is_marked(process, str(layout.home))]
    return list({process.pid: process for one in marked for process in (one, *_descendants(one))}.values())


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []  # it ended meanwhile


def _is_marked(process: psutil.Process, home: str) -> bool:
    try:
        return process.environ().get(MARK) == home
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
        return False  # gone, or another user's: not ours in either case


def _signal(process: psutil.Process, *, force: bool) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself, which is what was wanted
        process.kill() if force else process.terminate()
