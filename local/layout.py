"""Where the suite keeps its files: everything under one home, downloads under a cache that several homes share."""

import hashlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent

# A unix socket's path has at most 107 bytes, and supervisord first binds to the path with its process id appended.
LONGEST_SOCKET_PATH: Final = 95


@dataclass(frozen=True)
class Layout:
    """The paths of one suite."""

    home: Path
    cache: Path

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def socket(self) -> Path:
        """The supervisor's socket: in the home, or, where that is too long, in a short directory named after it."""
        path = self.run / "supervisor.sock"
        if len(bytes(path)) <= LONGEST_SOCKET_PATH:
            return path
        key = hashlib.sha256(bytes(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"sutazai-{key}" / "supervisor.sock"

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"

    def create(self) -> None:
        """Makes the directories, closed to other users where secrets lie; may be repeated."""
        self.home.mkdir(parents=True, exist_ok=True)
        for directory in (self.run, self.logs, self.socket.parent):
            directory.mkdir(mode=0o700, exist_ok=True)


def python() -> str:
    """The interpreter of the environment that everything is installed in."""
    return sys.executable


def code() -> tuple[Path, ...]:
    """What a Python program of the suite is read from: the interpreter, its library, its environment, and our own."""
    return Path(sys.executable), Path(sys.base_prefix), Path(sys.prefix), REPOSITORY / "services" / "topology.py"
