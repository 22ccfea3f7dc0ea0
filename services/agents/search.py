"""Turns what a caller typed into a query of the full-text index, none of it taken for Lucene's syntax."""

import re

_SYNTAX = re.compile(r'([+\-&|!(){}\[\]^"~*?:\\/])')


def text_query(tenant_id: str, typed: str) -> str:
    """A Lucene query for the agents of a tenant whose name or description has every typed word, or a word it begins."""
    words = [_anywhere(word) for word in typed.split()]
    return " ".join([f'+tenant_id:"{_escaped(tenant_id)}"', *words])


def _anywhere(word: str) -> str:
    # A phrase is cut into words as the index was (`e-mail` has two); a prefix is not, but finds `invoice` for `inv`.
    escaped = _escaped(word)
    forms = [f'{field}:"{escaped}" {field}:{escaped}*' for field in ("name", "description")]
    return f"+({' '.join(forms)})"


def _escaped(text: str) -> str:
    return _SYNTAX.sub(r"\\\1", text)
