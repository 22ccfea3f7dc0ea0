"""Programs of others that these tests run."""

import asyncio
import shutil
from pathlib import Path

from local.layout import REPOSITORY


def uv() -> str:
    """That of the machine, or that of `make bootstrap`."""
    return shutil.which("uv") or str(REPOSITORY / ".local" / "cache" / "tools" / "bin" / "uv")


async def run(*command: str | Path, cwd: Path, may_fail: bool = False) -> str:
    """What it prints, while this loop goes on to serve the model."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, trouble = await process.communicate()
    is_over = process.returncode == 0 or (may_fail and said)
    assert is_over, f"{said.decode()[-5_000:]}\n{trouble.decode()[-5_000:]}"
    return said.decode()
