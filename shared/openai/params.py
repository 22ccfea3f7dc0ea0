"""Which field is to blame, as OpenAI writes it: `messages[0].content`."""

from collections.abc import Sequence
from typing import Final

from shared.errors import FieldProblem

_TOLD: Final = 5
_LONGEST: Final = 128


def param_of(pointer: str) -> str | None:
    """The name of what `pointer` leads to; None for the body as a whole."""
    if not pointer:
        return None
    if not pointer.startswith("/"):  # `query/limit`
        return pointer.partition("/")[2][:_LONGEST] or None
    first, *rest = (_unescaped(member) for member in pointer[1:].split("/"))
    return "".join([first, *map(_step, rest)])[:_LONGEST]


def told(detail: str, problems: Sequence[FieldProblem]) -> str:
    """`detail` with the fields that are to blame, the first few of many."""
    if not problems:
        return detail
    named = [_sentence(one) for one in problems[:_TOLD]]
    if more := len(problems) - len(named):
        named.append(f"and {more} more")
    fields = "; ".join(named)
    return fields if problems[0].detail == detail else f"{detail.removesuffix('.')}: {fields}"


def _sentence(problem: FieldProblem) -> str:
    param = param_of(problem.pointer)
    return f"{param}: {problem.detail}" if param else problem.detail


def _step(member: str) -> str:
    return f"[{member}]" if member.isdecimal() else f".{member}"


def _unescaped(member: str) -> str:
    return member.replace("~1", "/").replace("~0", "~")
