"""The query of the full-text index."""

import pytest
from pydantic import TypeAdapter, ValidationError

from services.agents.places import Window
from services.agents.schemas import TextFilter
from services.agents.search import text_query

TENANT = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_a_query_asks_one_tenant_for_every_word() -> None:
    query = text_query(TENANT, " big  bot big ", {})

    assert query == (
        '+tenant_word:"01890a5dac96774bbcceb302099a8057"'
        ' +(name:"big" name:big* description:"big" description:big*)'
        ' +(name:"bot" name:bot* description:"bot" description:bot*)'
    )


def test_a_query_asks_for_names_and_a_window() -> None:
    query = text_query(
        "t", None, {"capabilities": "e-mail", "tools": "_"}, Window(17 * 10**14, 17 * 10**14 + 10**9 - 1)
    )

    assert query == r'+(place:t1700000) +capabilities:"e\-mail"'


@pytest.mark.parametrize("char", '+-&|!(){}[]^"~*?:\\/')
def test_syntax_is_taken_for_text(char: str) -> None:
    assert f'name:"a\\{char}b"' in text_query(TENANT, f"a{char}b", {})


TEXT = TypeAdapter[str | None](TextFilter)


@pytest.mark.parametrize("sign", [chr(code) for code in range(0x3100) if len(f"a{chr(code)}a".split()) == 2])
def test_what_parts_words_is_the_same_where_they_are_counted_and_where_they_are_cut(sign: str) -> None:
    """A sign is a blank to both, or is refused: else a text would have more words than are let in."""
    for typed in (sign, sign.join("abcdefghijk")):
        with pytest.raises(ValidationError):
            TEXT.validate_python(typed)
