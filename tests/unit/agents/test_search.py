"""The query of the full-text index."""

import pytest

from services.agents.search import text_query

TENANT = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_a_query_asks_one_tenant_for_every_word() -> None:
    query = text_query(TENANT, " big  bot ")

    assert query == (
        r'+tenant_id:"01890a5d\-ac96\-774b\-bcce\-b302099a8057"'
        ' +(name:"big" name:big* description:"big" description:big*)'
        ' +(name:"bot" name:bot* description:"bot" description:bot*)'
    )


@pytest.mark.parametrize("char", '+-&|!(){}[]^"~*?:\\/')
def test_syntax_is_taken_for_text(char: str) -> None:
    assert f'name:"a\\{char}b"' in text_query(TENANT, f"a{char}b")
