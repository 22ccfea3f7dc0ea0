"""Turns a `Launch` into a script the supervisor runs, so that secrets reach a process without a command line."""

import hashlib
import os
import shlex
from pathlib import Path
from typing import Final

from local.components.base import Launch
from local.layout import Layout

# Every process of a suite carries it and hands it to its children, so that none can be overlooked by `down`.
MARK: Final = "SUTAZAI_SUPERVISED_HOME"


def script(layout: Layout, component: str) -> Path:
    """The script that starts the component."""
    return layout.run / f"{component}.sh"


def write(layout: Layout, component: str, launch: Launch) -> str:
    """Writes script and configuration files; returns a fingerprint that changes when any of them does."""
    text = _text(layout, launch)
    _write_private(script(layout, component), text)
    for path, content in launch.files.items():
        _write_private(path, content)
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


def _text(layout: Layout, launch: Launch) -> str:
    environment = dict(launch.environment) | {MARK: str(layout.home)}
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sorted(environment.items())]
    return "\n".join(["#!/bin/sh", *exports, f"exec {shlex.join(launch.command)}", ""])


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.rename(path)
