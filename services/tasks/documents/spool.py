"""What a task makes on its way lies on the disk, in a folder of its own, and goes with it."""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

_PREFIX: Final = "sutazai-documents-"
_LEFT_BEHIND_SECONDS: Final = 3600  # longer than an attempt may last: a worker that was killed took nothing away


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder through the block, below `TMPDIR`; takes away what killed workers left there. For a thread."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as made:
        yield Path(made)


def _sweep(parent: Path) -> None:
    too_old = time.time() - _LEFT_BEHIND_SECONDS
    for one in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another worker takes it away as well
            if one.stat().st_mtime < too_old:
                shutil.rmtree(one, ignore_errors=True)


class Spool:
    """Records in a file: written behind one another, and read from the first on. Its methods are for a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0

    def append(self, records: Iterable[Any]) -> None:
        with self._path.open("ab") as file:
            for record in records:
                file.write(orjson.dumps(record) + b"\n")
                self.count += 1

    def batches(self, size: int) -> Iterator[list[Any]]:
        """All records, `size` at once. Nothing is appended meanwhile."""
        if not self.count:
            return
        with self._path.open("rb") as file:
            while some := [orjson.loads(line) for line in islice(file, size)]:
                yield some
