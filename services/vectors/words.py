"""What keyword search knows of a text, the same on every engine: its words as numbers, each with its weight.

Which words it has says `shared/texts.py`.

Scores are BM25's (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75), in the two factors that sparse vectors know: the
weight of a word in a text, made here when it is stored, and the rarity of the word, `rarity`, of which the engine knows
the counts when it is asked. A text's length is compared with a fixed one, not with the collection's average: that one
moves with every store, and with it all weights.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.texts import pairs_of, runs_of, token_of

MAX_QUERY_WORDS = 2048
_K1, _B = 1.2, 0.75
_USUAL_LENGTH = 128  # words, or characters where there are no spaces: about a passage


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a stored text, `weights[i]` being that of `tokens[i]`; no token stands there twice."""

    tokens: NDArray[np.uint32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.tokens)


def words_of(text: str | None) -> Words:
    """What to keep of a text that is stored; empty for none, and for one without a letter or digit."""
    counts: Counter[str] = Counter()
    length = 0
    for unspaced, word in runs_of(text or ""):
        if word:
            counts[word] += 1
            length += 1
        else:
            counts.update(unspaced)
            counts.update(pairs_of(unspaced))
            length += len(unspaced)
    frequencies: defaultdict[int, int] = defaultdict(int)
    for word, count in counts.items():
        frequencies[token_of(word)] += count
    tokens = np.fromiter(frequencies.keys(), dtype=np.uint32, count=len(frequencies))
    often = np.fromiter(frequencies.values(), dtype=np.float64, count=len(frequencies))
    weights = often * (_K1 + 1) / (often + _K1 * (1 - _B + _B * length / _USUAL_LENGTH))
    return Words(tokens, weights.astype(np.float32))


def rarity(records: int, holding: int) -> float:
    """BM25's inverse document frequency of a word that `holding` of `records` with words hold; always positive."""
    return math.log(1 + (records - holding + 0.5) / (holding + 0.5))
