"""What is indexed of metadata: nothing that differs may look alike, nothing that is alike may differ."""

from hypothesis import given
from hypothesis import strategies as st

from services.vectors.domain import MetadataScalar
from services.vectors.records.filters import parse
from services.vectors.terms import HasAnyTerm, HasTerm, NoneOf, escaped, terms_of
from tests.contracts.vectors.language import leaf


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
def test_different_names_stay_different(names: list[str]) -> None:
    assert escaped(names[0]) != escaped(names[1])


@given(st.text(min_size=1, max_size=64))
def test_escaped_names_fit_every_engines_paths(name: str) -> None:
    assert all(char.isascii() and (char.isalnum() or char in "_-") for char in escaped(name))


def test_common_names_stay_readable() -> None:
    assert escaped("created_at2") == "created_at2"


def test_types_do_not_meet() -> None:
    values: list[MetadataScalar] = ["1", "True", 1, True, "n:a=1.0", "x" * 200]

    terms = [terms_of({"a": value}).terms[1] for value in values]

    assert len(set(terms)) == len(values)


def test_equal_numbers_are_one_term() -> None:
    assert terms_of({"a": 1}) == terms_of({"a": 1.0})
    assert terms_of({"a": 0.0}) == terms_of({"a": -0.0}) == terms_of({"a": 0})


def test_a_value_cannot_pretend_to_be_of_another_field() -> None:
    assert not set(terms_of({"a": "b=c"}).terms) & set(terms_of({"a=b": "c"}).terms)


def test_long_texts_are_indexed_by_a_short_term() -> None:
    assert max(map(len, terms_of({"a": "x" * 4096}).terms)) < 128


def test_lists_are_indexed_by_element_and_by_number() -> None:
    indexed = terms_of({"a": [1, "x", 2.5, True, 1]})

    assert indexed.numbers == {"a": [1.0, 2.5, 1.0]}
    assert len(indexed.terms) == len(set(indexed.terms)) == 6  # presence, 1, x, 2.5, True, is numeric


def test_one_value_asks_for_one_term() -> None:
    (term,) = set(terms_of({"a": "x"}).terms) - set(terms_of({"a": "y"}).terms)

    assert parse(leaf("a", "eq", "x")) == parse(leaf("a", "in", ["x", "x"])) == HasTerm(term)
    assert parse(leaf("a", "ne", "x")) == NoneOf(HasTerm(term))
    assert isinstance(parse(leaf("a", "in", ["x", "y"])), HasAnyTerm)
