"""The recipes of docs/extend.md: what they name is there, and what they say holds for all that is there already."""

import importlib
import pkgutil
import re
import tomllib
from dataclasses import fields
from typing import get_args

import pytest
import yaml

from local.demo import ENGINES as SHOWN
from local.ports import OFFSETS
from local.secrets import Secrets
from services.auth.entry.tokens.schemas import TokenRequest
from services.auth.trust.signing.schemas import ServerMetadata
from services.tasks import kinds
from services.tasks.kinds.ingest_input import IngestInput
from services.tasks.kinds.kind import Kind
from services.tasks.kinds.registry import BUILT_IN
from services.topology import SECRETS, SERVICES
from services.vectors.domain import EngineName
from shared.errors import ServiceError
from tests.architecture.conftest import REPOSITORY
from tests.contracts.vectors.conftest import ENGINES as HELD_TO_THE_CONTRACT

RECIPES = (REPOSITORY / "docs" / "extend.md").read_text()
IS_PATH = re.compile(r"/|\.(py|md|ya?ml|toml)$|^Makefile$")
NAMED = sorted({name for name in re.findall(r"`([\w./-]+)`", RECIPES) if IS_PATH.search(name)})
every_service = pytest.mark.parametrize("service", SERVICES)


@pytest.mark.parametrize("name", NAMED)
def test_what_a_recipe_names_is_there(name: str) -> None:
    """A path as it is; a name without a folder here, or in a service."""
    in_services = [] if "/" in name else list((REPOSITORY / "services").rglob(name))

    assert (REPOSITORY / name).exists() or in_services


@every_service
def test_an_error_stands_in_the_tree_of_its_file(service: str) -> None:
    module = importlib.import_module(f"services.{service}.errors")
    own = module.__name__
    found = [one for one in vars(module).values() if isinstance(one, type) and one.__module__.startswith(own)]
    errors = [one.__name__ for one in found if issubclass(one, ServiceError) and not one.__name__.startswith("_")]

    assert errors
    assert [name for name in errors if name not in (module.__doc__ or "")] == []


def test_a_secret_that_is_generated_has_a_field() -> None:
    assert SECRETS.keys() <= {field.name for field in fields(Secrets)}


def test_every_kind_is_registered() -> None:
    modules = [importlib.import_module(f"{kinds.__name__}.{one.name}") for one in pkgutil.iter_modules(kinds.__path__)]
    written = {one.name for module in modules for one in vars(module).values() if isinstance(one, Kind)}

    assert written == {kind.name for kind in BUILT_IN.list()}


def test_every_engine_is_known_wherever_all_are_named() -> None:
    [ingested, _] = get_args(IngestInput.model_fields["engine"].annotation)

    assert {engine.component for engine in EngineName} == set(SERVICES["vectors"].stores)
    assert set(get_args(ingested)) == set(SHOWN) == set(EngineName)
    assert [engine for engine in EngineName if not any(one.startswith(engine) for one in HELD_TO_THE_CONTRACT)] == []


def test_every_grant_is_told_to_clients() -> None:
    taken = get_args(TokenRequest.model_fields["grant_type"].annotation)

    assert set(ServerMetadata.of("https://issuer").grant_types_supported) == set(taken)


@every_service
def test_a_service_has_all_that_belongs_to_one(service: str) -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    containers = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
    routed = yaml.safe_load((REPOSITORY / "gateway" / "kong.yml").read_text())["services"]
    files = (f"requirements/{service}.txt", f"services/{service}/README.md", f"tests/services/{service}/conftest.py")

    assert service in extras.keys() & containers.keys() & {one["name"] for one in routed if one["routes"]}
    assert [name for name in files if not (REPOSITORY / name).is_file()] == []


def test_no_two_listen_at_one_port() -> None:
    assert len(set(OFFSETS.values())) == len(OFFSETS)
