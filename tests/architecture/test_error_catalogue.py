"""Every error that a caller can see is in the catalogue that its `type` leads to."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import services
import shared
from gateway.portal.catalogue import CATALOGUE, ErrorEntry, read_catalogue
from shared.errors import Relayed, ServiceError

REPOSITORY = Path(__file__).parents[2]
# Run at import, by design: programs, and what only Alembic may import.
NOT_IMPORTABLE = re.compile(r"\.__main__$|\.migrations(\.|$)")


def catalogue() -> dict[str, ErrorEntry]:
    sections = read_catalogue(CATALOGUE.read_text())
    return {entry.code: entry for section in sections for entry in section.entries}


def modules(package: ModuleType) -> Iterator[str]:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not NOT_IMPORTABLE.search(module.name):
            yield module.name


def our_errors() -> set[type[ServiceError]]:
    for package in (shared, services):
        for name in modules(package):
            importlib.import_module(name)
    found, waiting = set[type[ServiceError]](), [ServiceError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.__module__.startswith(("shared.", "services.")) and error is not Relayed:  # it has no code of its own
            found.add(error)
    return found


def test_every_error_is_catalogued_with_its_status() -> None:
    known = {code: entry.status for code, entry in catalogue().items()}

    wrong = {
        f"{error.__module__}.{error.__qualname__}: {error.code} {error.status}"
        for error in our_errors()
        if known.get(error.code) != error.status
    }

    assert not wrong


def test_every_problem_of_the_gateway_is_catalogued_with_its_status() -> None:
    rows = re.findall(r'\[(\d{3})\] = \{"([a-z_.]+)"', (REPOSITORY / "gateway" / "kong.yml").read_text())

    assert rows
    assert {(int(status), code) for status, code in rows} <= {(e.status, e.code) for e in catalogue().values()}


def test_the_catalogue_names_no_error_that_is_gone() -> None:
    sources = [
        path.read_text()
        for room in ("shared", "services", "gateway")
        for path in (REPOSITORY / room).rglob("*")
        if path.suffix in {".py", ".yml"}
    ]

    gone = {code for code in catalogue() if not any(f'"{code}"' in source for source in sources)}

    assert not gone
