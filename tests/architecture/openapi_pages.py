"""`docs/openapi/`: every app's document as it is released, so that what changes for callers is seen in a diff."""

import json
from pathlib import Path

from local.layout import REPOSITORY
from tests.architecture.apps import APPS, app_of

FROZEN = REPOSITORY / "docs" / "openapi"


def frozen(app: str) -> Path:
    return FROZEN / f"{app}.json"


def page(app: str) -> str:
    return json.dumps(app_of(app).openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    FROZEN.mkdir(exist_ok=True)
    for name in APPS:
        frozen(name).write_text(page(name))
