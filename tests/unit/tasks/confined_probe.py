"""What tests have done inside of a confined program: as one that was taken over would, it tells what it sees."""

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from services.tasks.confined.ends import Refused
from services.tasks.confined.frames import Talk


class Unwanted(Refused):
    code = "test.unwanted"
    meaning = "Not this one."


def run(talk: Talk) -> None:
    asked = orjson.loads(talk.take() or b"{}")
    match asked["do"]:
        case "look":
            talk.give(orjson.dumps(_seen()))
        case "echo":
            while (said := talk.take()) is not None:
                talk.give(said)
        case "refuse":
            raise Unwanted("what it was given")
        case "try":
            names = {"os": os, "socket": socket, "subprocess": subprocess}
            try:
                exec(asked["what"], names)  # noqa: S102 - a test's own words
            except Exception as error:  # noqa: BLE001 - which one is what is asked
                talk.give(orjson.dumps(f"{type(error).__name__}: {error}"))
            else:
                talk.give(b'"done"')
        case "fill":
            held = [bytes(2**20) for _ in range(asked["mib"])]
            talk.give(orjson.dumps(len(held)))
        case "compute":
            while True:
                pass
        case "print":
            print("some library's chatter", flush=True)  # noqa: T201 - as a library may
            os.write(1, b"and another's")
        case "shout":
            sys.stdout.flush()
            talk.give(bytes(65 * 2**20))
        case "write":
            Path(asked["path"]).write_bytes(bytes(asked["bytes"]))
        case _:
            raise LookupError("a secret of the file")


def _seen() -> dict[str, Any]:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "environment": Path("/proc/self/environ").read_bytes().decode().split("\0"),
        "descriptors": {one.name: str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if _is_open(one)},
        "capabilities": [status[name].strip() for name in ("CapEff", "CapPrm", "CapInh")],
        "no_new_privileges": status["NoNewPrivs"].strip(),
        "network": [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]],
        "limits": {
            name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
            for name in ("DATA", "FSIZE", "NOFILE", "NPROC", "CORE", "CPU")
        },
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "oom": int(Path("/proc/self/oom_score_adj").read_text()),
        "group": os.getpgrp() == os.getpid() == os.getsid(0),
    }


def _is_open(descriptor: Path) -> bool:
    """And not only for the look itself."""
    try:
        os.fstat(int(descriptor.name))
    except OSError:
        return False
    return True
