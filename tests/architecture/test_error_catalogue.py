"""Every error that a caller can see is in the catalogue that its `type` leads to."""

import re
from collections import defaultdict
from pathlib import Path

from gateway.portal.catalogue import CATALOGUE, read_catalogue
from tests.architecture.errors_page import our_errors, page

REPOSITORY = Path(__file__).parents[2]


def test_the_catalogue_is_what_the_classes_say() -> None:
    assert CATALOGUE.read_text() == page(), "run `make docs`"


def test_a_code_has_one_status_and_says_one_thing() -> None:
    said = defaultdict(set)
    for error in our_errors():
        said[error.code].add((error.status, error.meaning))

    assert {code: ways for code, ways in said.items() if len(ways) > 1} == {}


def test_a_new_code_says_what_it_means() -> None:
    borrowed = {
        f"{error.__module__}.{error.__qualname__}"
        for error in our_errors()
        if "code" in vars(error) and "meaning" not in vars(error)
    }

    assert borrowed == set()


def test_every_problem_of_the_gateway_is_catalogued_with_its_status() -> None:
    rows = re.findall(r'\[(\d{3})\] = \{"([a-z_.]+)"', (REPOSITORY / "gateway" / "kong.yml").read_text())
    catalogued = {(e.status, e.code) for section in read_catalogue(CATALOGUE.read_text()) for e in section.entries}

    assert rows
    assert {(int(status), code) for status, code in rows} <= catalogued


def test_a_status_has_one_title() -> None:
    """RFC 9457: `title` is the same for every problem of a kind; ours are the phrases of the statuses."""
    said = defaultdict(set)
    for error in our_errors():
        said[error.status].add(error.title)
    kong = (REPOSITORY / "gateway" / "kong.yml").read_text()
    for status, title in re.findall(r'\[(\d{3})\] = \{"[a-z_.]+", "([^"]+)"', kong):
        said[int(status)].add(title)

    assert {status: titles for status, titles in said.items() if len(titles) > 1} == {}
    assert said[403] == {"Forbidden"}
