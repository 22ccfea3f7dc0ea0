"""How long a text is for a model, without that model's tokenizer.

Tokens a character were counted, on paragraphs of the same content, with the two vocabularies at hand: SmolLM2's, which
comes with the suite and is made of English, and XLM-R's, which the embeddings use and is made of a hundred languages.

    script                 SmolLM2    here, english   XLM-R       here, multilingual
    Latin, English         0.22            0.26       0.26                0.29
    Latin, German, Polish  0.37-0.53       0.45       0.20-0.27           0.34, and more with each accent
    Cyrillic, Greek        0.88-1.0        1.05       0.3                 0.5
    Arabic, Hebrew         1.2-1.3         1.35       0.35                0.55
    Devanagari             1.4             1.45       0.37                0.6
    Thai                   1.9             2.0        0.24                0.45
    Han                    1.8-1.95        2.0        0.7                 1.0
    kana                   1.7             1.8        0.6                 1.0
    Hangul                 2.4             2.65       0.66                1.0
    other letters, signs   2.0-2.6         2.4        0.25-1.0            0.8
    digits, punctuation    1.0             1.0        0.4-1.0             1.0

Both columns of ours lie above what was counted. The second one has half as much again on top, since the large models of
today (Llama, Qwen, GPT) have vocabularies between the two.
"""

import math
from bisect import bisect
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from shared.words import Word


class Vocabulary(Word):
    """What a model's tokenizer was made of, as far as estimates care."""

    ENGLISH = "english"
    MULTILINGUAL = "multilingual"


@dataclass(frozen=True, slots=True)
class _Costs:
    """Tokens for one character of a kind."""

    english: float
    foreign: float  # a plain letter in a text of another language with Latin script
    accented: float
    capital: float
    alphabet: dict[str, float]
    other: float


_SPACE = 0.25  # it goes along with its word
_SYMBOL = 1.0
_FOREIGN_SHARE = 0.005  # of letters beyond ASCII; German has 2 %, English with a café in it less
_COSTS = {
    Vocabulary.ENGLISH: _Costs(
        english=0.26,
        foreign=0.45,
        accented=2.0,
        capital=0.55,
        alphabet={
            "greek": 1.05, "semitic": 1.35, "devanagari": 1.45, "thai": 2.0, "han": 2.0, "kana": 1.8, "hangul": 2.65,
        },
        other=2.4,
    ),
    Vocabulary.MULTILINGUAL: _Costs(
        english=0.29,
        foreign=0.34,
        accented=0.6,
        capital=0.55,
        alphabet={
            "greek": 0.5, "semitic": 0.55, "devanagari": 0.6, "thai": 0.45, "han": 1.0, "kana": 1.0, "hangul": 1.0,
        },
        other=0.8,
    ),
}  # fmt: skip
# Where a script begins; it goes on to the next line. Unlisted ones are `other`.
_SCRIPTS: list[tuple[int, str]] = [
    (0x0000, "ascii"), (0x0080, "other"), (0x00AA, "latin"), (0x0250, "other"), (0x0370, "greek"), (0x0530, "other"),
    (0x0590, "semitic"), (0x0700, "other"), (0x0750, "semitic"), (0x0780, "other"), (0x0900, "devanagari"),
    (0x0980, "other"), (0x0E00, "thai"), (0x0F00, "other"), (0x1100, "hangul"), (0x1200, "other"), (0x1E00, "latin"),
    (0x1F00, "greek"), (0x2000, "other"), (0x3000, "kana"), (0x3100, "other"), (0x3130, "hangul"), (0x3190, "other"),
    (0x31F0, "kana"), (0x3200, "other"), (0x3400, "han"), (0xA000, "other"), (0xAC00, "hangul"), (0xD7B0, "other"),
    (0xF900, "han"), (0xFB00, "other"), (0xFB1D, "semitic"), (0xFE00, "other"), (0xFE70, "semitic"), (0xFF00, "kana"),
    (0xFFA0, "other"), (0x1F1E6, "emoji"), (0x1F200, "other"), (0x1F300, "emoji"), (0x1FB00, "other"),
]  # fmt: skip
_STARTS = [start for start, _ in _SCRIPTS]
_EMOJI_TOKENS = 3.0


def estimate_tokens(text: str, vocabulary: Vocabulary = Vocabulary.ENGLISH, *, is_part_of_foreign: bool = False) -> int:
    """About how many tokens `text` is for a model with such a vocabulary; rather too many than too few.

    A sentence without accents does not show its language: who knows that of the whole says so.

    Known to be too few: Latin script without accents that is not English, such as Dutch (0.7 of what it is), and long
    runs of base64 (0.8).
    """
    return estimate_counted(Counter(text), vocabulary, is_part_of_foreign=is_part_of_foreign)


def estimate_counted(
    counts: Counter[str], vocabulary: Vocabulary = Vocabulary.ENGLISH, *, is_part_of_foreign: bool = False
) -> int:
    """The same of a text whose characters are counted: one that grows need not be gone through again."""
    is_foreign = is_part_of_foreign or _is_foreign(counts)
    return math.ceil(sum(number * _cost(char, vocabulary, is_foreign) for char, number in counts.items()))


def is_foreign_text(text: str) -> bool:
    """Whether it is in Latin script, and not in English."""
    return _is_foreign(Counter(text))


def _is_foreign(counts: Counter[str]) -> bool:
    letters = sum(number for char, number in counts.items() if char.isascii() and char.isalpha())
    accented = sum(number for char, number in counts.items() if _script(char) == "latin")
    return accented > _FOREIGN_SHARE * letters


def _script(char: str) -> str:
    return _SCRIPTS[bisect(_STARTS, ord(char)) - 1][1]


@lru_cache(16_384)
def _cost(char: str, vocabulary: Vocabulary, is_foreign: bool) -> float:
    costs, script = _COSTS[vocabulary], _script(char)
    match script:
        case "ascii":
            return _ascii_cost(char, costs, is_foreign)
        case "latin":
            return costs.accented
        case "emoji":
            return _EMOJI_TOKENS
        case _:
            return costs.alphabet.get(script, costs.other)


def _ascii_cost(char: str, costs: _Costs, is_foreign: bool) -> float:
    if char == " ":
        return _SPACE
    if not char.isalpha():
        return _SYMBOL
    plain = costs.foreign if is_foreign else costs.english
    return max(plain, costs.capital) if char.isupper() else plain


def cut_to_tokens(text: str, limit: int, vocabulary: Vocabulary = Vocabulary.ENGLISH) -> str:
    """The beginning of `text` that is about `limit` tokens, ended at a word and marked as cut; `text` when it fits."""
    while text and (estimated := estimate_tokens(text, vocabulary)) > limit:
        kept = text[: max(0, int(len(text) * limit / estimated) - 1)]
        text = kept.rsplit(None, 1)[0] + "…" if " " in kept else kept
    return text
