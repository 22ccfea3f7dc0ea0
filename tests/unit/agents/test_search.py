"""The query of the full-text index."""

import pytest

from services.agents.places import Window
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
