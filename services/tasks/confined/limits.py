"""What a program may have that reads a stranger's bytes: less of everything than the worker that starts it.

Nothing of this needs root, and root has no more of it: its capabilities go as well. What a kernel or a container does
not allow, such as a network of one's own, is left as it is.
"""

import ctypes
import os
import re
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_LESS_URGENT: Final = 5
_DESCRIPTORS: Final = 64
_ENDED_FIRST: Final = "1000"
# Linux: include/uapi/linux/prctl.h, sched.h and capability.h.
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_CAPABILITY_VERSION = 0x20080522
_READS_ALL: Final = 1 << 2  # CAP_DAC_READ_SEARCH
# fmt: off
_FORBIDDEN: Final = frozenset({
    "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg",
    "subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system",
    "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate",
})
# fmt: on
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_GIVEN: Final = re.compile(r"/dev/fd/\d+")  # what it was started with


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one program."""

    memory_bytes: int
    processor_seconds: int
    file_bytes: int = 0
    """Of what it writes into the file that it was given; 0 where it only reads."""


def confine(limits: Limits) -> None:
    """Take away from this process, which has one thread still, what such work needs not."""
    Path("/proc/self/oom_score_adj").write_text(_ENDED_FIRST)  # where memory is short it ends, and not its worker
    os.nice(_LESS_URGENT)
    _give_up_rights()
    bounds = {
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: _DESCRIPTORS,
        resource.RLIMIT_NPROC: 0,  # nor a thread
        resource.RLIMIT_CORE: 0,
    }
    for bound, value in bounds.items():
        resource.setrlimit(bound, (value, value))
    # Where both are the same the kernel kills at once (SIGKILL), and nothing says that it was for the time (SIGXCPU).
    resource.setrlimit(resource.RLIMIT_CPU, (limits.processor_seconds, limits.processor_seconds + 5))
    sys.addaudithook(_forbid)


def _give_up_rights() -> None:
    """It ends with its worker, gains no right from any program, sees no network and has no capability.

    Where Python lies in a closed directory, and its worker has the right to read it all the same, that is left: what is
    imported later is read by it (docs/threat-model.md).
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    had = _permitted(libc)
    _set_capabilities(libc, effective=0, permitted=had)
    is_closed = not _can_read(os.__file__)
    _set_capabilities(libc, effective=had, permitted=had)
    # Whoever may make users of their own may do the rest, but reads as they do: no right of the worker's goes with it.
    if is_closed or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        libc.unshare(_CLONE_NEWNET)
    kept = had & _READS_ALL if is_closed else 0
    _set_capabilities(libc, effective=kept, permitted=kept)


def _permitted(libc: ctypes.CDLL) -> int:
    found = (ctypes.c_uint32 * 6)()
    libc.capget(_capability_head(), ctypes.byref(found))
    return int(found[1]) | int(found[4]) << 32


def _set_capabilities(libc: ctypes.CDLL, *, effective: int, permitted: int) -> None:
    """The lower 32 bits of effective, permitted and inheritable, then the upper ones."""
    halves = [half for shift in (0, 32) for half in (effective >> shift, permitted >> shift, 0)]
    libc.capset(_capability_head(), ctypes.byref((ctypes.c_uint32 * 6)(*(half & 0xFFFFFFFF for half in halves))))


def _capability_head() -> Any:
    return ctypes.byref((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0))  # of this process


def _can_read(path: str) -> bool:
    try:
        Path(path).open("rb").close()
    except OSError:
        return False
    return True


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    """Of Python what it may do; what took over a library in C is held by the rest."""
    if event in _FORBIDDEN or (event == "open" and _writes(arguments)):
        raise PermissionError(event)


def _writes(arguments: tuple[Any, ...]) -> bool:
    """Python's own `open` names a mode, `os.open` has none but in its flags."""
    path, mode, flags = arguments
    is_for_writing = bool(flags & _WRITING) or (isinstance(mode, str) and any(letter in mode for letter in "wax+"))
    return is_for_writing and not (isinstance(path, str) and _GIVEN.fullmatch(path))
