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
    """It ends with its worker, gains no right from any program, sees no network and has no capability."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET):  # whoever may make users of their own may do the rest
        libc.unshare(_CLONE_NEWNET)
    nothing = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: 64 bits of each
    libc.capset(ctypes.byref((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)), ctypes.byref(nothing))


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    """Of Python what it may do; what took over a library in C is held by the rest."""
    if event in _FORBIDDEN or (event == "open" and _writes(arguments)):
        raise PermissionError(event)


def _writes(arguments: tuple[Any, ...]) -> bool:
    """Python's own `open` names a mode, `os.open` has none but in its flags."""
    path, mode, flags = arguments
    is_for_writing = bool(flags & _WRITING) or (isinstance(mode, str) and any(letter in mode for letter in "wax+"))
    return is_for_writing and not (isinstance(path, str) and _GIVEN.fullmatch(path))
