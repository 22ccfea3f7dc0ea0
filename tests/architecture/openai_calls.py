"""What OpenAI's client can call: the paths, and the names of what is sent, read from the installed package's source."""

import ast
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

Call = tuple[str, str]
"""Method and path, whose parameters have no names: `GET /files/{}`."""
_VERBS: Final = {"_post": "POST", "_get": "GET", "_delete": "DELETE", "_patch": "PATCH", "_put": "PUT"}
_PAGED: Final = "_get_api_list"
# Of the client itself: they change how a request is sent, not what is asked.
_OF_THE_CLIENT: Final = frozenset({"extra_headers", "extra_query", "extra_body", "timeout"})


def version() -> str:
    return importlib.metadata.version("openai")


def unnamed(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


@cache
def calls() -> dict[Call, tuple[str, ...]]:
    """The parameters of each, beside those in its path; of several methods that call the same the first counts.

    Those that come later (`parse`, `stream`, `create_and_poll`) are built on it.
    """
    found: dict[Call, tuple[str, ...]] = {}
    for file in sorted(_resources().rglob("*.py")):
        for method in _methods(ast.parse(file.read_text())):
            for verb, path in _called(method):
                found.setdefault((verb, unnamed(path)), _parameters(method, path))
    return found


def _resources() -> Path:
    spec = importlib.util.find_spec("openai")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "resources"


def _methods(module: ast.Module) -> Iterator[ast.FunctionDef]:
    """Those of the classes that wait: the others say the same again."""
    for kind in module.body:
        if isinstance(kind, ast.ClassDef):
            yield from (one for one in kind.body if isinstance(one, ast.FunctionDef))


def _called(method: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Verb and template; not the betas, which are asked for in the query."""
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            verb = _PAGED if node.func.attr == _PAGED else _VERBS.get(node.func.attr)
            path = _path(node.args[0])
            if verb and path and "?" not in path:
                yield (_paged_by(node) if verb == _PAGED else verb), path


def _paged_by(call: ast.Call) -> str:
    told = [one.value for one in call.keywords if one.arg == "method"]
    return told[0].value.upper() if told and isinstance(told[0], ast.Constant) else "GET"  # type: ignore[union-attr] # a string


def _path(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "path_template":
        node = node.args[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _parameters(method: ast.FunctionDef, path: str) -> tuple[str, ...]:
    left_out = _OF_THE_CLIENT.union(re.findall(r"\{([^}]*)\}", path))
    return tuple(one.arg for one in method.args.kwonlyargs if one.arg not in left_out)
