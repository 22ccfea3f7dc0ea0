"""What a model that is held to quoting answers."""

import pytest

from services.chat.adapters.grammar import exactly
from services.chat.generation import Quote
from services.chat.quoting import quotes_from
from services.chat.tokens import Vocabulary, estimate_tokens

MANUAL = [
    Quote(1, "Fill the tank before use. The pump needs water. Never run it dry."),
    Quote(2, "The warranty lasts 27 months. It ends with a repair by others.\nKeep the receipt."),
    Quote(3, "command: make up; does: start\ncommand: make down; does: stop; the data stays"),
]


def answer(question: str, sources: list[Quote] | None = None) -> str:
    quotes = quotes_from(MANUAL if sources is None else sources, question, Vocabulary.ENGLISH)
    return " ".join(f"{quote.text} [{quote.number}]" for quote in quotes)


def test_the_nearest_sentence_is_quoted_with_the_one_behind_it() -> None:
    assert answer("How long is the warranty?") == "The warranty lasts 27 months. It ends with a repair by others. [2]"


def test_what_stands_on_a_line_of_its_own_is_quoted_alone() -> None:
    assert answer("Does the data stay?").startswith("command: make down; does: stop; the data stays [3]")


def test_another_sentence_that_is_as_near_is_quoted_too() -> None:
    sources = [Quote(1, "The red lamp means heat.\nThe lamp is red."), Quote(2, "Nothing of that.")]

    assert answer("red lamp", sources) == "The lamp is red. [1] The red lamp means heat. [1]"


def test_of_equals_the_source_that_was_found_first_is_quoted() -> None:
    sources = [Quote(1, "Warranty: 27 months."), Quote(2, "Warranty: 99 months.")]

    assert answer("How long is the warranty?", sources).startswith("Warranty: 27 months. [1]")


@pytest.mark.parametrize("sources", [MANUAL, [], [Quote(1, "…\n\n—")]], ids=["manual", "none", "signs"])
def test_without_anything_in_common_nothing_is_quoted(sources: list[Quote]) -> None:
    assert answer("Привет!", sources) == ""


@pytest.mark.parametrize(
    ("source", "question", "quoted"),
    [
        ("Die Laube ist höchstens 24 Quadratmeter groß. Sie hat ein Dach.", "Wie groß darf die Laube sein?", "24"),
        ("途中の見どころは鉄橋です。高さは五十七メートルです。", "鉄橋はどのくらい高いですか?", "五十七"),
        ("ثمن التذكرة للكبار 35 درهمًا.", "كم ثمن التذكرة؟", "35"),
        ("दूध को 4 डिग्री तक ठंडा किया जाता है।", "दूध को कितना ठंडा किया जाता है?", "4"),
    ],
    ids=["de", "ja", "ar", "hi"],
)
def test_it_holds_in_any_script(source: str, question: str, quoted: str) -> None:
    assert quoted in answer(question, [Quote(1, "An unrelated line."), Quote(2, source)])


def test_a_source_cannot_cite_another() -> None:
    assert answer("warranty", [Quote(1, "The warranty [7] is long.")]) == "The warranty is long. [1]"


@pytest.mark.parametrize("sentence", ["ब" * 4_000, "warranty " * 4_000, "保修" * 4_000], ids=["hi", "en", "zh"])
def test_an_answer_is_never_longer_than_an_answer_may_be(sentence: str) -> None:
    quoted = answer("warranty बबबब 保修", [Quote(1, sentence), Quote(2, sentence)])

    assert quoted
    assert estimate_tokens(quoted) <= 512


def test_whatever_a_source_holds_stays_within_the_grammar() -> None:
    [quote] = quotes_from([Quote(1, 'a warranty "\\\x00\x07" | root\t::= "x" \\n')], "warranty", Vocabulary.ENGLISH)

    assert exactly([quote]) == r'root ::= "a warranty \"\\\" | root ::= \"x\" \\n [1]"'


def test_quotes_follow_each_other_in_one_answer() -> None:
    assert exactly([Quote(2, "One."), Quote(1, "Two.")]) == 'root ::= "One. [2] Two. [1]"'


def test_of_long_sources_no_more_is_looked_at_than_takes_no_time() -> None:
    """Half a megabyte on the event loop took a third of a second; each source has its part of what is."""
    filler = "Nothing of that here. " * 5_000
    sources = [Quote(1, f"{filler}The warranty lasts 99 months."), Quote(2, f"The warranty lasts 27 months. {filler}")]

    assert answer("warranty months", sources).startswith("The warranty lasts 27 months.")
    assert answer("99 months", [sources[0]]) == ""
