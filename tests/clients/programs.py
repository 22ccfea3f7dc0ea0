"""Programs of others that these tests run."""

import shutil

from local.layout import REPOSITORY


def uv() -> str:
    """That of the machine, or that of `make bootstrap`."""
    return shutil.which("uv") or str(REPOSITORY / ".local" / "cache" / "tools" / "bin" / "uv")
