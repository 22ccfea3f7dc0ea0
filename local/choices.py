"""How a suite was started: what the commands after `up` go by where they are told nothing else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

REMEMBERED: Final = ("SUTAZAI_PORT_BASE", "SUTAZAI_BIND", "SUTAZAI_INSIDE_TLS", "SUTAZAI_FAISS_NODE", "SUTAZAI_OBSERVE")
_FILE: Final = "choices.json"


def remember(home: Path, environ: Mapping[str, str], port_base: int) -> None:
    """Keep how the suite is being started."""
    chosen = {name: environ[name] for name in REMEMBERED if environ.get(name)}
    written = home / f"{_FILE}.new"
    written.touch(mode=0o600)  # as everything in a home
    written.write_text(json.dumps(chosen | {"SUTAZAI_PORT_BASE": str(port_base)}))
    written.replace(home / _FILE)


def remembered(home: Path) -> dict[str, str]:
    """What was chosen when it was started last; nothing where it never was."""
    try:
        kept = json.loads((home / _FILE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: str(kept[name]) for name in REMEMBERED if name in kept}
