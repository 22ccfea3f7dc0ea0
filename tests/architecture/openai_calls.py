"""What OpenAI's client can call: the paths, what it sends and what it reads, by the source of the installed package."""

import ast
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel

Call = tuple[str, str]
"""Method and path, whose parameters have no names: `GET /files/{}`."""
_VERBS: Final = {"_post": "POST", "_get": "GET", "_delete": "DELETE", "_patch": "PATCH", "_put": "PUT"}
_PAGED: Final = "_get_api_list"
# Of the client itself: they change how a request is sent, not what is asked.
_OF_THE_CLIENT: Final = frozenset({"extra_headers", "extra_query", "extra_body", "timeout"})


class Known(NamedTuple):
    """One operation, as the client knows it."""

    parameters: tuple[str, ...]
    """Those beside what stands in the path."""
    answer: type[BaseModel] | None
    """What it makes of the answer, or of each item of a list; None where that is no model, or one of several."""
    is_list: bool


def version() -> str:
    return importlib.metadata.version("openai")


def unnamed(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


@cache
def calls() -> dict[Call, Known]:
    """All of them. Of several methods that call the same the first counts: others, such as `parse`, are built on it."""
    found: dict[Call, Known] = {}
    for file in sorted(_resources().rglob("*.py")):
        for method in _methods(ast.parse(file.read_text())):
            for node, path in _called(method):
                known = Known(_parameters(method, path), _answer(file, node), _is_paged(node))
                found.setdefault((_verb(node), unnamed(path)), known)
    return found


def members(model: type[BaseModel]) -> list[str]:
    """The names that stand in the answer."""
    return [field.alias or name for name, field in model.model_fields.items()]


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


def _called(method: ast.FunctionDef) -> Iterator[tuple[ast.Call, str]]:
    """Each request with the template of its path; not the betas, which are asked for in the query."""
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and node.args and _name(node) in {*_VERBS, _PAGED}:
            path = _path(node.args[0])
            if path and "?" not in path:
                yield node, path


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _is_paged(call: ast.Call) -> bool:
    return _name(call) == _PAGED


def _verb(call: ast.Call) -> str:
    if not _is_paged(call):
        return _VERBS[_name(call)]
    told = _keyword(call, "method")
    return str(told.value).upper() if isinstance(told, ast.Constant) else "GET"


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in call.keywords if one.arg == name), None)


def _path(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "path_template":
        node = node.args[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _parameters(method: ast.FunctionDef, path: str) -> tuple[str, ...]:
    left_out = _OF_THE_CLIENT.union(re.findall(r"\{([^}]*)\}", path))
    return tuple(one.arg for one in method.args.kwonlyargs if one.arg not in left_out)


def _answer(file: Path, call: ast.Call) -> type[BaseModel] | None:
    told = _keyword(call, "model" if _is_paged(call) else "cast_to")
    if not isinstance(told, ast.Name):
        return None
    inside = file.relative_to(_resources()).with_suffix("").parts
    named = getattr(importlib.import_module(".".join(("openai.resources", *inside))), told.id, None)
    return named if isinstance(named, type) and issubclass(named, BaseModel) else None
