"""`If-Match`: a change is made to what was read, or not at all."""

import pytest

from shared.errors import PreconditionFailed
from shared.resources import etag, require_match


@pytest.mark.parametrize("if_match", [None, "*", '"3"', '"1", "3"', '"1:b", "3:b"'])
def test_a_matching_or_absent_tag_lets_through(if_match: str | None) -> None:
    require_match(if_match, etag(3))


@pytest.mark.parametrize("if_match", ['"2"', "3", 'W/"3"', "", '"2:b"', '"3', '"30:b"', 'W/"3:b"'])
def test_any_other_tag_is_412(if_match: str) -> None:
    with pytest.raises(PreconditionFailed):
        require_match(if_match, etag(3))
