"""What a model that is held to quoting answers: of its sources the sentence that is nearest to the message.

A model of a hundred million parameters neither repeats a passage rightly nor chooses among its sentences: what it is
left to say begins with whatever is most usual to begin with. What has most in common with the message is right far more
often (docs/decisions/0081). With it goes the sentence behind it, which tells more of what it began, and one from
elsewhere that is nearly as near.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.chat.domain import REFERENCE
from services.chat.excerpts import CUT, grams, pieces_of, shared_with
from services.chat.generation import Quote
from services.chat.tokens import Vocabulary, estimate_tokens

_CHARS = 48_000  # of all sources: it is read on the event loop, at about a millisecond for a thousand
_SENTENCE_TOKENS = 240
_ANSWER_TOKENS = 440  # of the 512 of an answer, so that none is cut
_AS_NEAR = 0.7
_SHORT = 10  # shared pieces of words count less in long sentences, and in short ones no more than in one of so many
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")  # white space has become spaces before


@dataclass(frozen=True, slots=True)
class _Sentence:
    """`goes_on` where the next one of the same source stands on its line."""

    number: int
    text: str
    goes_on: bool


def quotes_from(sources: Sequence[Quote], question: str, vocabulary: Vocabulary) -> list[Quote]:
    """One or two passages of `sources`, nearest first; none where nothing has anything in common with `question`.

    Of long sources the beginnings are looked at, so that each is.
    """
    sentences = [one for source in _beginnings(sources) for one in _sentences(source, vocabulary)]
    scores = _scores(sentences, question)
    order = sorted(range(len(sentences)), key=lambda at: -scores[at])  # stable: equals as the sources stand
    if not order or not scores[order[0]]:
        return []
    first, *others = order
    quotes = [Quote(sentences[first].number, sentences[first].text)]
    if sentences[first].goes_on and _fits([*quotes, behind := _quote(sentences[first + 1])], vocabulary):
        quotes = [Quote(behind.number, f"{quotes[0].text} {behind.text}")]
    second = next((at for at in others if sentences[at].text not in quotes[0].text), None)
    if second is not None and scores[second] >= _AS_NEAR * scores[first]:
        both = [*quotes, _quote(sentences[second])]
        return both if _fits(both, vocabulary) else quotes
    return quotes


def _beginnings(sources: Sequence[Quote]) -> list[Quote]:
    """As much of each as leaves the same to those behind it."""
    left, beginnings = _CHARS, list[Quote]()
    for behind, source in zip(range(len(sources), 0, -1), sources, strict=True):
        beginnings.append(Quote(source.number, source.text[: max(left // behind, 0)]))
        left -= len(beginnings[-1].text)
    return beginnings


def _scores(sentences: Sequence[_Sentence], question: str) -> list[float]:
    """What each has in common with `question`; of sources that were found later it counts less."""
    shared = shared_with([one.text for one in sentences], question)
    weights = [(1 + one.number) * (_SHORT + len(grams(one.text))) ** 0.25 for one in sentences]
    return [score / weight for score, weight in zip(shared, weights, strict=True)]


def _sentences(source: Quote, vocabulary: Vocabulary) -> Iterator[_Sentence]:
    pieces = [piece for piece in pieces_of(source.text, _SENTENCE_TOKENS, vocabulary) if any(map(str.isalnum, piece))]
    for at, piece in enumerate(pieces):
        yield _Sentence(source.number, _on_one_line(piece), "\n" not in piece and at + 1 < len(pieces))


def _quote(sentence: _Sentence) -> Quote:
    return Quote(sentence.number, sentence.text)


def _fits(quotes: Sequence[Quote], vocabulary: Vocabulary) -> bool:
    return sum(estimate_tokens(quote.text, vocabulary) for quote in quotes) <= _ANSWER_TOKENS


def _on_one_line(piece: str) -> str:
    """As it stands but for white space, and for what would pass for the number of another source."""
    line = _UNPRINTABLE.sub("", " ".join(REFERENCE.sub(" ", piece).split()))
    return line.strip(CUT).removeprefix("- ")
