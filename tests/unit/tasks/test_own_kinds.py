"""A team's own kinds, as docs/kinds.md shows them."""

import re
import secrets
from pathlib import Path

import pytest

from local.layout import REPOSITORY
from services.tasks.errors import KindUnknown
from services.tasks.kinds.registry import BUILT_IN, OwnKindsUnusable, with_own


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the module that the page shows, on the path."""
    (shown,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "kinds.md").read_text(), re.DOTALL)
    return written(tmp_path, monkeypatch, shown)


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> str:
    name = f"kinds_{secrets.token_hex(4)}"
    (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    return name


def test_what_the_page_shows_is_a_kind_beside_the_others(module: str) -> None:
    kinds = with_own(module)

    assert {kind.name for kind in kinds.list()} - {kind.name for kind in BUILT_IN.list()} == {"acme.greet"}
    assert kinds.get("acme.greet").input_model.model_validate({"name": "Ada"})
    with pytest.raises(KindUnknown):
        BUILT_IN.get("acme.greet")


def test_without_a_name_there_are_those_there_are() -> None:
    assert with_own("") is BUILT_IN


@pytest.mark.parametrize(
    "source",
    [
        "",
        "KINDS = 5",
        "KINDS = ['echo']",
        "from services.tasks.kinds.echo import ECHO\nKINDS = [ECHO]",
        "import not_there_at_all",
    ],
)
def test_what_is_no_module_of_kinds_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    name = written(tmp_path, monkeypatch, source)

    with pytest.raises(OwnKindsUnusable, match=name):
        with_own(name)


def test_a_module_that_is_not_there_ends_the_start() -> None:
    with pytest.raises(OwnKindsUnusable, match="nowhere"):
        with_own("nowhere.kinds")
