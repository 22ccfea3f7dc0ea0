"""How addresses and passwords are spelled: one account and one secret for all the ways to type them."""

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.auth.people.accounts.address import address, beginning
from services.auth.people.passwords.schemas import Password, TypedPassword
from services.auth.people.passwords.spelling import has_controls, spelled

FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
JUERGEN = "jürgen@bücher.example.com"


def forms(text: str) -> set[str]:
    return {unicodedata.normalize(form, text) for form in FORMS}


@pytest.mark.parametrize(
    "typed",
    [
        *sorted(forms(JUERGEN)),
        *sorted(forms("JÜRGEN@BÜCHER.EXAMPLE.COM")),
        "jürgen@xn--bcher-kva.example.com",
        "jürgen@XN--BCHER-KVA.Example.COM",
        "jürgen@bücher\u3002example\uff0ecom",
        f"  {JUERGEN}\t",
    ],
    ids=ascii,
)
def test_one_mailbox_has_one_spelling_however_it_is_typed(typed: str) -> None:
    assert address(typed) == JUERGEN


@pytest.mark.parametrize(
    "typed",
    [
        "Jo <jo@example.com>",
        "<jo@example.com>",
        "jo@example.com, al@example.com",
        '"jo"@example.com',
        '"jo smith"@example.com',
        "jo (work)@example.com",
        "mailto:jo@",
        "jo@[192.0.2.1]",
        "jo@localhost",
        "jo",
        "@example.com",
        "jo@example.com\x00",
        "jo\n@example.com",
        "jo@exa mple.com",
        "j\ud800o@example.com",
        "jo@xn--a.com",
        "",
    ],
    ids=ascii,
)
def test_what_is_no_address_or_more_than_one_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="not a valid email address"):
        address(typed)


@pytest.mark.parametrize(
    ("one", "other"),
    [("jo@example.com", "jö@example.com"), ("a@faß.example.com", "a@fass.example.com"), ("ﬁ@x.com", "fi@x.com")],
)
def test_different_mailboxes_are_spelled_apart(one: str, other: str) -> None:
    assert address(one) != address(other)


@given(st.text(min_size=1, max_size=64))
def test_a_spelling_is_spelled_as_itself_in_every_form_and_case(local_part: str) -> None:
    try:
        found = address(f"{local_part}@Example.com")
    except ValueError:
        return

    assert {address(form) for form in forms(found)} == {found}
    assert found == unicodedata.normalize("NFC", found)


@pytest.mark.parametrize(
    "typed", ["JÜR", *sorted(forms("jürgen@BÜCH")), "jürgen@xn--bcher-kva.example.com", "Jürgen@"], ids=ascii
)
def test_a_search_begins_as_addresses_are_spelled(typed: str) -> None:
    assert JUERGEN.startswith(beginning(typed))


@pytest.mark.parametrize(
    ("typed", "spelling"),
    [
        ("correct horse battery staple", "correct horse battery staple"),
        ("Correct Horse Battery Staple", "Correct Horse Battery Staple"),
        ("πßå", "πßå"),
        ("Jack of \u2666s", "Jack of \u2666s"),
        ("foo\u1680bar", "foo bar"),
    ],
)
def test_passwords_are_spelled_as_in_the_examples_of_rfc_8265(typed: str, spelling: str) -> None:
    assert spelled(typed) == spelling
    assert not has_controls(spelling)


def test_a_control_character_is_found() -> None:
    assert has_controls("my cat is a \u0009by")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=128))
def test_a_password_is_the_same_in_every_form_and_with_every_space(password: str) -> None:
    once = spelled(password)

    assert {spelled(form) for form in forms(password)} == {once} == {spelled(once)}
    assert spelled(password.replace(" ", "\u00a0")) == once


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_what_ascii_was_hashed_as_is_what_it_is_verified_as(password: str) -> None:
    assert spelled(password) == password


@pytest.mark.parametrize(
    ("typed", "length"),
    [
        ("é" * 128, 128),
        ("e\u0301" * 128, 128),
        ("\u1f82" * 128, 128),
        (unicodedata.normalize("NFD", "\u1f82" * 128), 128),
    ],
    ids=ascii,
)
def test_bounds_are_counted_after_the_spelling(typed: str, length: int) -> None:
    assert len(TypeAdapter(Password).validate_python(typed).get_secret_value()) == length


@pytest.mark.parametrize(
    "typed", ["e\u0301" * 129, "x" * 129, "e\u0301" * 7, "x" * 100_000, "x" * 8 + "\udfff"], ids=len
)
def test_what_is_out_of_bounds_or_half_a_character_is_refused_and_not_shown(typed: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Password).validate_python(typed)

    assert typed[:4] not in str([one["msg"] for one in refused.value.errors()])


def test_a_control_character_is_refused_to_nobody_who_has_one() -> None:
    assert TypeAdapter(TypedPassword).validate_python("with\ttab").get_secret_value() == "with\ttab"
