"""How answers are counted."""

import httpx
import pytest

from bench.evaluation.answers import ALL, Answer, Answered, answers_to, by_document
from bench.evaluation.questions import Question, demo_questions, documents, plain, questions
from local.demo import documents as demo_pages

ASKED = Question("en.html", "How far?", "It reaches 120 metres", "120")
GIVEN = ("It reaches 120 metres.", "It needs 9 watts.")


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (Answer(ASKED, "m", "120 metres [1]", GIVEN, GIVEN[:1], ended=True), Answered(1, 1, 1, 1, 0, 1, 1)),
        (Answer(ASKED, "m", "9 metres [1][2]", GIVEN, GIVEN, ended=True), Answered(1, 0, 1, 1, 0, 2, 1)),
        (Answer(ASKED, "m", "Far, and", GIVEN[1:], (), ended=False), Answered(1, 0, 0, 0, 0, 0, 0)),
        (Answer(ASKED), Answered(1, 0, 0, 0, 1, 0, 0)),
    ],
    ids=["right", "in its passages", "wrong and cut", "failed"],
)
def test_an_answer_counts_for_what_it_is(answer: Answer, counted: Answered) -> None:
    assert Answered.of([answer]) == counted


def test_figures_are_of_each_document_and_of_all() -> None:
    other = Question("de.txt", "Wie viel?", "38 Cent", "38")

    figures = by_document([Answer(ASKED), Answer(other), Answer(ASKED)])

    assert {name: one.questions for name, one in figures.items()} == {"en.html": 2, ALL: 3, "de.txt": 1}
    assert str(figures[ALL]) == ("fact 0/3   or in its passages 0/3   citation precision 0/0   ended 0/3   failed 3")


async def test_a_message_that_fails_is_counted_and_the_next_is_asked() -> None:
    citation = {"number": 1, "text": GIVEN[0], "referenced": True}
    replies = [
        httpx.Response(201, json={"id": "a"}),
        httpx.Response(504, json={}),
        httpx.Response(
            200,
            json={"message": {"content": "120", "citations": [citation]}, "model": "m", "finish_reason": "stop"},
        ),
    ]
    transport = httpx.MockTransport(lambda _: replies.pop(0))

    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        failed, answered = [one async for one in answers_to(client, ["reach"], [ASKED, ASKED])]

    assert (failed.model, answered) == (None, Answer(ASKED, "m", "120", GIVEN[:1], GIVEN[:1], ended=True))


@pytest.mark.parametrize("one", questions(), ids=lambda one: one.question)
def test_what_is_asked_is_answered_by_its_document(one: Question) -> None:
    assert one.sentence in plain(documents()[one.document])


@pytest.mark.parametrize("one", demo_questions(), ids=lambda one: one.question)
def test_what_the_demo_asks_is_answered_by_its_pages(one: Question) -> None:
    assert any(one.fact in page["text"] for page in demo_pages())
