"""What a caller meets in a text stands there as the API writes it."""

import ast
import importlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import ValidationError

from local.layout import REPOSITORY
from services.topology import SERVICES
from shared.schemas import RequestModel
from shared.words import Word
from tests.architecture.apps import app_of


def enumerations() -> Iterator[tuple[Path, ast.ClassDef]]:
    """Every enumeration of texts in the services and what they share, but for the one that others derive from."""
    for room in ("services", "shared"):
        for path in sorted((REPOSITORY / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                bases = {ast.unparse(base).rsplit(".", 1)[-1] for base in getattr(node, "bases", [])}
                if isinstance(node, ast.ClassDef) and (bases & {"StrEnum", "Word"} or bases >= {"str", "Enum"}):
                    yield path, node


def test_every_enumeration_of_texts_is_one_of_words() -> None:
    others = [
        f"{path.relative_to(REPOSITORY)}: {node.name}"
        for path, node in enumerations()
        if "Word" not in {ast.unparse(base) for base in node.bases} and node.name != "Word"
    ]

    assert others == []
    assert len(list(enumerations())) > 10


@pytest.mark.parametrize("service", SERVICES)
def test_no_model_says_what_python_calls_it(service: str) -> None:
    """Whatever a model expects, its refusal of something else names it in the API's words."""
    app_of(service)
    models = [one for one in _below(RequestModel) if one.__module__.startswith(f"services.{service}")]

    said = "\n".join(_refusals(model) for model in models)

    assert models
    assert not [line for line in said.splitlines() if "<" in line and ": '" in line]


def _below(cls: type[RequestModel]) -> Iterator[type[RequestModel]]:
    for one in cls.__subclasses__():
        yield one
        yield from _below(one)


def _refusals(model: type[RequestModel]) -> str:
    """All that the model says to a value that no field takes."""
    try:
        model.model_validate(dict.fromkeys(_names(model), object()))
    except ValidationError as error:
        return "\n".join(one["msg"] for one in error.errors(include_url=False, include_input=False))
    return ""


def _names(model: type[RequestModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def test_a_word_is_quoted_as_it_is_sent() -> None:
    domain = importlib.import_module("services.vectors.domain")
    engine = domain.EngineName.QDRANT

    assert (f"{engine!r}", f"{engine}", repr([engine])) == ("'qdrant'", "qdrant", "['qdrant']")
    assert isinstance(engine, StrEnum)
    assert issubclass(domain.EngineName, Word)
