"""Whom each server runs as: where root starts it, a system user of its own, so that none reads what is another's.

Where that user may not enter what its program is read from (a checkout or a Python in root's home), the one capability
to search and to read goes with it, so that no directory's permissions have to be loosened. It then reads whatever root
does, and `make up` says so.
"""

import os
import pwd
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.errors import LocalError

PREFIX: Final = "sutazai-"
READ_ALL: Final = "dac_read_search"
LOW_PORTS: Final = "net_bind_service"
FIRST_FREE_PORT: Final = 1024
_making = threading.Lock()


@dataclass(frozen=True)
class Owner:
    """A user and its group, and the capabilities of root that it keeps."""

    uid: int
    gid: int
    capabilities: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[int, int]:
        return self.uid, self.gid

    @property
    def become(self) -> tuple[str, ...]:
        """The prefix that runs a command as that user, for good."""
        kept = ",".join(("-all", *(f"+{capability}" for capability in self.capabilities)))
        # Without it access(2) answers any user but root as if it had no capability, and whoever asks it before they
        # write (RabbitMQ, Neo4j) finds their own folder closed; see capabilities(7), SECBIT_NO_SETUID_FIXUP.
        honoured = ("--securebits=+no_setuid_fixup",) if self.capabilities else ()
        return (
            "setpriv",
            *honoured,
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            "--clear-groups",
            f"--inh-caps={kept}",
            f"--ambient-caps={kept}",
            f"--bounding-set={kept}",
            "--no-new-privs",
        )


def are_used() -> bool:
    """Whether servers get users of their own: root alone can give them any."""
    return os.geteuid() == 0


def owner_of(component: str, capabilities: Iterable[str] = ()) -> Owner | None:
    """Whom the component runs as; None where everything runs as we do. Makes the user when there is none.

    Raises LocalError where the system takes no user.
    """
    if not are_used():
        return None
    name = f"{PREFIX}{component}"
    entry = _find(name) or _make(name)
    return Owner(entry.pw_uid, entry.pw_gid, tuple(capabilities))


def ids_of(component: str) -> tuple[int, int]:
    """The ids of its user and group; ours where everything runs as we do. Raises LocalError as `owner_of`."""
    owner = owner_of(component)
    return owner.ids if owner else (os.geteuid(), os.getegid())


def give(folder: Path, owner: Owner | None) -> None:
    """Makes the folder, closed to everybody else. One that is another user's is handed over with all that is in it.

    That is root's, from before there were users, or whoever ran the suite before root did. Interrupted, it is repeated
    as a whole, since the folder itself comes last. Nothing may be at work in it as that other user.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    if owner is None or folder.stat().st_uid == owner.uid:
        return
    for _, directories, files, descriptor in os.fwalk(folder, topdown=False):
        for name in (*directories, *files):
            os.chown(name, owner.uid, owner.gid, dir_fd=descriptor, follow_symlinks=False)
    folder.chmod(0o700)
    os.chown(folder, owner.uid, owner.gid)


def unreadable(places: Iterable[Path]) -> Path | None:
    """The first of the places that not everybody on this machine may read, or the directory on its way; None if all."""
    return next((found for place in places if (found := barred(place.parent) or _unreadable(place.resolve()))), None)


def barred(directory: Path) -> Path | None:
    """The directory, or the one above it, that not everybody may pass through; None where everybody comes to it."""
    ways = (*_down_to(directory.absolute()), *_down_to(directory.resolve()))
    return next((path for path in ways if not path.stat().st_mode & 0o001), None)


def _down_to(directory: Path) -> tuple[Path, ...]:
    return (*reversed(directory.parents), directory)


def _unreadable(real: Path) -> Path | None:
    wanted = 0o005 if real.is_dir() else 0o004
    return barred(real.parent) or (None if real.stat().st_mode & wanted == wanted else real)


def _find(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make(name: str) -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    with _making:  # each would wait seconds for the other's lock on the file of users
        try:
            made = subprocess.run(
                [*command, "--shell", "/usr/sbin/nologin", name],
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LocalError(f"the system user {name} cannot be made: {error}") from error
        if entry := _find(name):  # also when another start made it meanwhile
            return entry
    raise LocalError(f"the system user {name} cannot be made: {made.stderr.strip()}")
