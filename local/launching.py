"""Turns a `Launch` into a script the supervisor runs, so that secrets reach a process without a command line."""

import hashlib
import shlex
from pathlib import Path
from typing import Final

from local.accounts import Owner
from local.components.base import Launch
from local.layout import Layout
from local.secrets import replace

# Every process of a suite carries it and hands it to its children, so that none can be overlooked by `down`.
MARK: Final = "SUTAZAI_SUPERVISED_HOME"


def script(layout: Layout, component: str) -> Path:
    """The script that starts the component."""
    return layout.run / f"{component}.sh"


def write(layout: Layout, component: str, launch: Launch, owner: Owner | None) -> str:
    """Writes script and configuration files; returns a fingerprint that changes when any of them does.

    The configuration is its owner's. The script stays ours, also where it becomes another user: nobody else reads it.
    """
    text = _text(layout, launch, owner)
    _write_private(script(layout, component), text)
    for path, content in launch.files.items():
        _write_private(path, content, owner)
    everything = "\0".join([text, *(f"{path}\0{content}" for path, content in sorted(launch.files.items()))])
    return hashlib.sha256(everything.encode()).hexdigest()


def remember(layout: Layout, component: str, fingerprint: str) -> None:
    """Notes what the component was started with."""
    _write_private(layout.run / f"{component}.started", fingerprint)


def remembered(layout: Layout, component: str) -> str | None:
    """What the component was last started with."""
    note = layout.run / f"{component}.started"
    return note.read_text() if note.exists() else None


def note_worked(layout: Layout, component: str, start: int) -> None:
    """Notes that the process which began at `start` (seconds since the epoch) has done its work once."""
    _write_private(layout.run / f"{component}.worked", str(start))


def worked(layout: Layout, component: str, start: int) -> bool:
    """Whether the process that began then has ever worked."""
    note = layout.run / f"{component}.worked"
    return note.exists() and note.read_text() == str(start)


def _text(layout: Layout, launch: Launch, owner: Owner | None) -> str:
    environment = dict(launch.environment) | {MARK: str(layout.home)}
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sorted(environment.items())]
    command = shlex.join((*(owner.become if owner else ()), *launch.command))
    return "\n".join(["#!/bin/sh", *exports, f"exec {command}", ""])


def _write_private(path: Path, text: str, owner: Owner | None = None) -> None:
    replace(path, text, 0o600, owner.ids if owner else None)
