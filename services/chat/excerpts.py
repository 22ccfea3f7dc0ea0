"""What is given of a passage that is too long: what stands around the place where it speaks of the question.

A passage is cut into pieces, sentences or parts of long ones. The piece that shares most with the question, its
neighbours counting half, is given first, then what stands on both sides of it, for as long as there is room. Shared are
pairs of characters in scripts without spaces, and otherwise fours of letters: they meet in inflected and compound words
too, where whole words do not. What many pieces share counts little.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import add

from services.chat.tokens import Vocabulary, estimate_tokens, is_foreign_text

_Cost = Callable[[str], int]

CUT = "…"
_CUT_TOKENS = 8  # both marks, and what the estimates of pieces and of their whole may differ by
_PIECES = 4  # at least, in what is given: a sentence that would fill it alone is cut
_QUESTION_CHARS = 2_000
_LETTERS = 4
_STOPS = ".!?…؟।॥\u06d4"  # with a space behind
_WIDE_STOPS = "。\uff01\uff1f｡"  # without
_SENTENCE_END = re.compile(rf"(?<=[{_STOPS}])[\"'»”\u2019)\]]*\s+|(?<=[{_WIDE_STOPS}])[」』”\u2019\uff09]*\s*|\n+")
_WORD = re.compile(
    r"[^\s\x00-/:-@\[-`{-¿\u2000-\u206f\u3000-\u3004\u3008-\u3020\uff00-\uff0f\uff1a-\uff20،؛؟।॥\u06d4]+"
)
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U000323af]+"
)


def excerpt(text: str, question: str, limit: int, vocabulary: Vocabulary = Vocabulary.ENGLISH) -> str:
    """`text` when it is about `limit` tokens or less; else what of it fits and is nearest to `question`.

    What was left out on either side is marked by `…`. Without anything in common it is the beginning.
    """
    if estimate_tokens(text, vocabulary) <= limit:
        return text
    cost = partial(estimate_tokens, vocabulary=vocabulary, is_part_of_foreign=is_foreign_text(text))
    pieces = list(_pieces(text, max(1, limit // _PIECES), cost))
    core = _core(pieces, question)
    first, last = _grown(core, [cost(piece) for piece in pieces], limit - _CUT_TOKENS)
    while first < last:
        kept = _marked(pieces, first, last)
        if estimate_tokens(kept, vocabulary) <= limit:
            return kept
        # What is kept of an English text can be foreign by itself.
        first, last = (first, last - 1) if last - 1 - core >= core - first else (first + 1, last)
    return ""


def _marked(pieces: Sequence[str], first: int, last: int) -> str:
    kept = "".join(pieces[first:last]).strip()
    return f"{CUT if first else ''}{kept}{CUT if last < len(pieces) else ''}"


def shared_with(pieces: Sequence[str], question: str) -> list[float]:
    """How much each of `pieces` has in common with `question`, which is nothing at 0."""
    asked = grams(question[:_QUESTION_CHARS])
    shared = [grams(piece) & asked for piece in pieces]
    holding = Counter(gram for found in shared for gram in found)
    weights = {gram: math.log(1 + len(pieces) / count) for gram, count in holding.items()}
    return [math.fsum(weights[gram] for gram in found) for found in shared]


def pieces_of(text: str, most: int, vocabulary: Vocabulary = Vocabulary.ENGLISH) -> Iterator[str]:
    """`text` in sentences, or parts of long ones, of about `most` tokens at most, which joined are the text again."""
    return _pieces(
        text, most, partial(estimate_tokens, vocabulary=vocabulary, is_part_of_foreign=is_foreign_text(text))
    )


def _pieces(text: str, most: int, cost: _Cost) -> Iterator[str]:
    """`text` in parts of about `most` tokens at most, which joined are the text again."""
    start = 0
    for end in (*(found.end() for found in _SENTENCE_END.finditer(text)), len(text)):
        if end > start:
            yield from _halved(text[start:end], most, cost)
        start = end


def _halved(piece: str, most: int, cost: _Cost) -> Iterator[str]:
    if len(piece) < 2 or cost(piece) <= most:
        yield piece
        return
    middle = len(piece) // 2
    at = piece.rfind(" ", 0, middle) + 1 or piece.find(" ", middle, len(piece) - 1) + 1 or middle
    yield from _halved(piece[:at], most, cost)
    yield from _halved(piece[at:], most, cost)


def _core(pieces: Sequence[str], question: str) -> int:
    """The piece to begin with."""
    scores = [0.0, *shared_with(pieces, question), 0.0]
    around = [scores[at] + (scores[at - 1] + scores[at + 1]) / 2 for at in range(1, len(scores) - 1)]
    return around.index(max(around))


def _grown(core: int, costs: Sequence[int], room: int) -> tuple[int, int]:
    """From where to where pieces fit, on both sides of `core` as far as they do; nothing when not even that one."""
    first, last, left = core, core, room
    is_open = {"after": True, "before": True}
    while any(is_open.values()):
        for side in is_open:
            at = last if side == "after" else first - 1
            is_open[side] = is_open[side] and 0 <= at < len(costs) and costs[at] <= left
            if is_open[side]:
                left -= costs[at]
                first, last = (first, last + 1) if side == "after" else (first - 1, last)
    return first, last


def grams(text: str) -> set[str]:
    """What two texts may have in common."""
    found: set[str] = set()
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        rest = word
        for run in _UNSPACED.findall(word):
            found.update(map(add, run, run[1:]) if len(run) > 1 else run)
            rest = rest.replace(run, " ", 1)
        for part in rest.split():
            found.update(part[at : at + _LETTERS] for at in range(max(1, len(part) - _LETTERS + 1)))
    return found
