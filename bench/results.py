"""Keeps what was measured: one file a day, in which a row that is run again replaces itself and no other."""

import json
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.row import Row
from local.layout import REPOSITORY

DIRECTORY = REPOSITORY / "bench" / "results"


def keep(rows: list[Row], directory: Path = DIRECTORY) -> Path:
    """Returns the file."""
    now = datetime.now(UTC)
    file = directory / f"{now:%Y-%m-%d}.json"
    kept = json.loads(file.read_text())["rows"] if file.exists() else []
    measured_at = now.isoformat(timespec="seconds")
    fresh = [{**asdict(row), "measured_at": measured_at, "is_credible": row.is_credible} for row in rows]
    measured_again = {row.id for row in rows}
    machine = {"processors": psutil.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    found = {"machine": machine, "rows": [row for row in kept if row["id"] not in measured_again] + fresh}
    directory.mkdir(exist_ok=True)
    draft = file.with_suffix(".tmp")
    draft.write_text(json.dumps(found, indent=1) + "\n")
    draft.replace(file)
    return file
