"""A room of `shared/` is entered through its face: what its `__init__` hands out."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
OUTSIDE = ("services", "gateway", "local", "shared", "bench")


def inner_imports(path: Path) -> Iterator[str]:
    """The modules inside rooms of `shared/` that a file elsewhere imports."""
    room = path.relative_to(REPOSITORY).parts[:2]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "shared" and len(parts) > 2 and tuple(parts[:2]) != room:
                yield f"{path.relative_to(REPOSITORY)}: {node.module}"


@pytest.mark.parametrize("folder", OUTSIDE)
def test_nobody_reaches_behind_a_face(folder: str) -> None:
    files = sorted((REPOSITORY / folder).rglob("*.py"))
    assert files
    assert [found for path in files for found in inner_imports(path)] == []


def test_a_face_hands_out_what_it_says() -> None:
    for face in sorted((REPOSITORY / "shared").glob("*/__init__.py")):
        tree = ast.parse(face.read_text())
        handed = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
        [said] = [node.value for node in tree.body if isinstance(node, ast.Assign)]
        assert set(ast.literal_eval(said)) == handed, face
        assert ast.get_docstring(tree), face
