"""`python -m services.tasks.confined MODULE LIMITS`: confines itself, then has `run` of that module do the work.

It holds nothing that is worth anything: no secret is in its environment, and of open files it has what it was given.
What ends it has ended nothing else.
"""

import errno
import importlib
import os
import sys
import traceback

import orjson

from services.tasks.confined.ends import End, Refused
from services.tasks.confined.frames import Talk
from services.tasks.confined.limits import Limits, confine
from shared import disk


def main(module: str, limits: str) -> None:
    """Say what comes of it, and how it ended."""
    talk = Talk(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what a library prints is no part of the talk
    confine(Limits(**orjson.loads(limits)))
    try:
        importlib.import_module(module).run(talk)
        talk.end()
    except Refused as refused:
        talk.refuse(refused)
    except (BrokenPipeError, EOFError):  # the worker is gone
        sys.exit(1)
    except MemoryError:
        talk.end_by(End.MEMORY)
    except Exception as error:  # noqa: BLE001 - parsers raise whatever comes to pass in them
        talk.end_by(_end_of(error), _where(error))


def _end_of(error: Exception) -> End:
    if isinstance(error, OSError) and error.errno == errno.EFBIG:  # its own limit comes before any disk's
        return End.SIZE
    return End.FULL if disk.is_full(error) else End.CRASH


def _where(error: Exception) -> str:
    """Without what it says, which may be of what was read."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {last.filename}:{last.lineno}"


if __name__ == "__main__":
    main(*sys.argv[1:])
