"""What a text is cut into for keyword search, and what each part weighs."""

import pytest

from services.vectors.words import rarity, words_of
from shared.texts import asked_of


def held(query: str, text: str) -> bool:
    """Whether all that `query` asks for stands in `text`."""
    return bool(asked_of(query)) and set(asked_of(query)) <= set(words_of(text).tokens.tolist())


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("STRASSE", "die Straße"),
        ("full width", "\uff46\uff55\uff4c\uff4c \uff57\uff49\uff44\uff54\uff48"),
        ("qdrant url", "QDRANT_URL=http://…"),
        ("naïve", "nai\u0308ve"),
        ("x2", "x²"),
        ("3 14", "3.14"),
        ("हिन्दी", "यह हिन्दी है"),
        ("検索", "全文検索です"),
        ("索", "全文検索です"),
        ("ช่องว่าง", "ไม่มีช่องว่างระหว่างคำ"),
        ("데이터", "데이터베이스를"),
        ("port10200番", "port10200番号"),
    ],
)
def test_what_is_written_otherwise_is_found(query: str, text: str) -> None:
    assert held(query, text)


@pytest.mark.parametrize(("query", "text"), [("索検", "検索"), ("cat", "concatenate"), ("x", ""), ("?!", "?!")])
def test_what_is_something_else_is_not(query: str, text: str) -> None:
    assert not held(query, text)


def test_no_word_stands_twice_and_the_same_text_always_gives_the_same() -> None:
    """The numbers are stored: these are for ever."""
    words = words_of("the cat and the cat")

    assert dict(zip(words.tokens.tolist(), words.weights.tolist(), strict=True)) == pytest.approx(
        {1011183078: 1.8842, 2656977832: 1.8842, 133536621: 1.6477}, rel=1e-4
    )
    assert len(words_of(None)) == len(words_of("…")) == 0


def test_a_word_counts_more_the_more_often_the_shorter_the_text_the_rarer_it_is() -> None:
    def weight(text: str) -> float:
        words = words_of(text)
        return float(words.weights[words.tokens.tolist().index(asked_of("key")[0])])

    assert weight("key") > weight("key and a lot of other things")
    assert weight("key key") > weight("key")
    assert weight("key " * 1000) < 2.2  # k1 + 1, whatever is repeated
    assert rarity(100, 1) > rarity(100, 50) > rarity(100, 100) > 0


def test_marks_heaped_on_a_letter_count_up_to_thirty() -> None:
    """Putting sixteen thousand in order takes a second, through which nothing else runs in the process."""
    heaped = "a" + "\u0301" * 8192 + "\u0323" * 8191

    assert asked_of(heaped) == asked_of("a" + "\u0301" * 30)
    assert asked_of("e\u0323\u0302 " + heaped) == sorted([*asked_of("\u1ec7"), *asked_of(heaped)])
