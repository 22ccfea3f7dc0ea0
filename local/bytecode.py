"""Compiles our own modules once for servers whose users may not write beside them, and would at each start."""

import compileall
from functools import cache
from typing import Final

from local.layout import REPOSITORY

PACKAGES: Final = ("services", "shared", "gateway", "local")


@cache
def compile_missing() -> None:
    """Compiles what is new or changed, once a process of ours.

    Where that may not be written, servers go on compiling for themselves.
    """
    for package in PACKAGES:
        compileall.compile_dir(REPOSITORY / package, quiet=2)
