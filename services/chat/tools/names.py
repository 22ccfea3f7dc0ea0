"""Names of tools as a model may be told of them: OpenAI allows `[a-zA-Z0-9_-]{1,64}`, and ours have dots."""

import hashlib
import re
from collections.abc import Iterable

_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST = 64
_DIGEST_CHARS = 8


def wire_names(names: Iterable[str], taken_by_others: Iterable[str] = ()) -> dict[str, str]:
    """A name for the wire of each, no two the same; one that is allowed, and no other's, stays as it is."""
    ordered, others = list(dict.fromkeys(names)), frozenset(taken_by_others)
    found = {name: name for name in ordered if _is_allowed(name) and name not in others}
    taken = set(found) | others
    for name in ordered:
        if name not in found:
            found[name] = _free(name, taken)
            taken.add(found[name])
    return found


def _is_allowed(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and not _NOT_ALLOWED.search(name)


def _free(name: str, taken: set[str]) -> str:
    plain = _NOT_ALLOWED.sub("_", name)
    if plain and len(plain) <= _LONGEST and plain not in taken:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{plain[: _LONGEST - _DIGEST_CHARS - 1]}_{digest}"
