"""Turns what a caller asks for into a query of the full-text index, none of it taken for Lucene's syntax."""

import re
from collections.abc import Iterator, Mapping

from services.agents.places import Window, clauses, tenant_word

_SYNTAX = re.compile(r'([+\-&|!(){}\[\]^"~*?:\\/])')
_WORD = re.compile(r"[^\W_]")


def text_query(tenant_id: str, typed: str | None, names: Mapping[str, str], window: Window | None = None) -> str:
    """A Lucene query for the agents of a tenant that have each typed word, or one it begins, in name or description.

    `names` are wanted by the field that has to have them. For a name that is a word of another (`mail` of `e-mail`)
    those with the other are found too.
    """
    return " ".join([_of(tenant_id, window), *_named(names), *(_anywhere(word) for word in _words(typed or ""))])


def _of(tenant_id: str, window: Window | None) -> str:
    if window is None:
        return f'+tenant_word:"{_escaped(tenant_word(tenant_id))}"'
    return f"+({' '.join(clauses(tenant_id, window))})"


def _named(names: Mapping[str, str]) -> Iterator[str]:
    for field, name in names.items():
        if _WORD.search(name):  # of `_` the index has nothing
            yield f'+{field}:"{_escaped(name)}"'


def _words(typed: str) -> list[str]:
    return list(dict.fromkeys(typed.split()))


def _anywhere(word: str) -> str:
    # A phrase is cut into words as the index was (`e-mail` has two); a prefix is not, but finds `invoice` for `inv`.
    escaped = _escaped(word)
    forms = [f'{field}:"{escaped}" {field}:{escaped}*' for field in ("name", "description")]
    return f"+({' '.join(forms)})"


def _escaped(text: str) -> str:
    return _SYNTAX.sub(r"\\\1", text)
