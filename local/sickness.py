"""What `up` looks at before it restarts a component that is alive and does not work."""

import shutil
import threading
from typing import Final

from local.components.base import Component
from local.errors import LocalError, NotReady
from local.site import Site

WORK_SECONDS: Final = 15.0


def verify(component: Component, site: Site) -> None:
    """Has it do its work, for `WORK_SECONDS` at most. Raises NotReady.

    In a thread that may be left behind: not every driver bounds every wait on a server that says nothing.
    """
    outcome: list[LocalError | None] = []

    def work() -> None:
        try:
            component.verify(site)
        except LocalError as error:
            outcome.append(error)
        except Exception as error:  # noqa: BLE001 - a server that is broken may answer anything
            outcome.append(NotReady(f"{type(error).__name__}: {error}"))
        else:
            outcome.append(None)

    thread = threading.Thread(target=work, daemon=True, name=f"verify {component.name}")
    thread.start()
    thread.join(WORK_SECONDS)
    if not outcome:
        raise NotReady(f"its work did not end within {WORK_SECONDS:.0f} s")
    if outcome[0]:
        raise outcome[0]


def fullness(component: Component, site: Site) -> str:
    """Why a restart cannot help: the disk under its data is full; empty where it is not."""
    folder = site.layout.home / component.name
    if not folder.exists():
        return ""
    free = shutil.disk_usage(folder).free
    if free >= component.least_free_bytes:
        return ""
    return f"only {free / 2**20:.0f} MB are free under {folder}"
