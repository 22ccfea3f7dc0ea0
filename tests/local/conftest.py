"""Suites of their own for these tests: another home, other ports, and nothing of the caller's environment but PATH."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.suite import Suite
from tests.fixtures.places import FREE_PORT_BASES

PORT_BASE, SECOND_PORT_BASE = FREE_PORT_BASES
MakeSuite = Callable[..., Suite]


@pytest.fixture
def make_suite(tmp_path: Path) -> Iterator[MakeSuite]:
    """Builds suites and takes down every one of them at the end."""
    built: list[Suite] = []

    def make(name: str = "home", port_base: int = PORT_BASE, **settings: str) -> Suite:
        environ = {"PATH": os.environ["PATH"], **settings}
        built.append(Suite(home=tmp_path / name, port_base=port_base, environ=environ))
        return built[-1]

    yield make
    for suite in built:
        suite.down()


@pytest.fixture
def suite(make_suite: MakeSuite) -> Suite:
    return make_suite()
