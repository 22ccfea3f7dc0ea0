"""Names of tools as models may be told of them."""

import re

import pytest

from services.chat.tools.names import wire_names

ALLOWED = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")


@pytest.mark.parametrize(
    "names",
    [
        ["vectors.search", "vectors_search", "weather"],
        ["vectors_search", "vectors.search"],
        ["a" * 64 + ".b", "a" * 64 + ".c"],
        ["größe", "gr.ße", "gr_ße"],
    ],
)
def test_each_is_allowed_and_no_two_are_the_same(names: list[str]) -> None:
    wire = wire_names(names)

    assert list(wire) == names or set(wire) == set(names)
    assert len(set(wire.values())) == len(names)
    assert all(ALLOWED.match(name) for name in wire.values())


def test_what_is_allowed_stays_as_it_is() -> None:
    assert wire_names(["vectors.search", "vectors_search"])["vectors_search"] == "vectors_search"
