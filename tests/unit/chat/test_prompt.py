"""A prompt holds the best there is within its budget."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.chat.domain import Agent, Citation, Message, Passage, mark_references
from services.chat.errors import MessageTooLong
from services.chat.past import Past
from services.chat.prompt import PromptBudget, build_prompt, latest_turns, number_sources
from services.chat.tokens import Vocabulary, estimate_tokens

AGENT = Agent("a", "Answer in one sentence.", None, ("handbook",))
BUDGET = PromptBudget(total=1000, sources=300, passage=100, history=200)


def passage(number: int, text: str) -> Passage:
    return Passage("handbook", f"r{number}", 1 / number, text)


def said(role: str, content: str) -> Message:
    return Message("m", "r", role, content, [], datetime.now(UTC))  # type: ignore[arg-type] # a role by name


def test_sources_stand_with_the_instructions_and_the_message_alone() -> None:
    prompt = build_prompt(AGENT, "How long?", [passage(1, "27 months."), passage(2, "800 grams.")], Past(), BUDGET)

    system, question = prompt.messages
    assert system.content.startswith("Answer in one sentence.\n\n")
    assert system.content.endswith("\n\n[1]\n> 27 months.\n\n[2]\n> 800 grams.")
    assert (question.role, question.content) == ("user", "How long?")


def test_without_sources_the_instructions_are_all() -> None:
    prompt = build_prompt(AGENT, "How long?", [], Past(), BUDGET)

    assert prompt.messages[0].content == "Answer in one sentence."


def test_an_agent_without_instructions_has_no_system_message() -> None:
    prompt = build_prompt(Agent("a", "", None, ()), "Hello", [], Past(), BUDGET)

    assert [message.role for message in prompt.messages] == ["user"]


def test_the_whole_stays_within_its_budget() -> None:
    passages = [passage(number, "many words about it " * 100) for number in range(1, 20)]
    history = [said(role, "earlier words " * 20) for _ in range(20) for role in ("user", "assistant")]

    prompt = build_prompt(AGENT, "How long? " * 40, passages, Past(history, len(history)), BUDGET)

    assert sum(estimate_tokens(message.content) for message in prompt.messages) <= BUDGET.total
    assert 2 <= len(prompt.sources) < len(passages)


@pytest.mark.parametrize("line", ["a\n", "It has a strap.\n", "- one\n- two\n"])
@pytest.mark.parametrize("sources", [60, 300, 900])
def test_the_lines_of_sources_are_within_their_budget(line: str, sources: int) -> None:
    passages = [passage(number, line * 400) for number in range(1, 5)]

    given = number_sources(passages, "How long?", replace(BUDGET, sources=sources, passage=sources))

    lines = sum(len(source.text.splitlines()) for source in given)
    assert given
    assert sum(estimate_tokens(source.text) for source in given) + 2 * lines + 8 * len(given) <= sources


def test_a_long_message_leaves_less_for_sources() -> None:
    passages = [passage(number, "words " * 40) for number in range(1, 5)]

    short = build_prompt(AGENT, "How long?", passages, Past(), BUDGET)
    long = build_prompt(AGENT, "How long? " * 250, passages, Past(), BUDGET)

    assert len(long.sources) < len(short.sources)


def test_a_message_that_cannot_fit_is_refused_with_figures() -> None:
    with pytest.raises(MessageTooLong) as refusal:
        build_prompt(AGENT, "How long? " * 1000, [], Past(), BUDGET)

    assert refusal.value.errors[0].pointer == "/content"
    assert "1000" in refusal.value.detail


def test_the_best_passages_come_first_and_the_last_may_be_cut() -> None:
    passages = [passage(number, f"{number} " + "words " * 60) for number in range(1, 5)]

    sources = number_sources(passages, "How long?", replace(BUDGET, sources=160))

    assert [(source.number, source.record_id) for source in sources] == [(1, "r1"), (2, "r2")]
    assert sources[1].text.endswith("…")


def test_a_source_is_cut_around_what_speaks_of_the_message() -> None:
    text = "It has a strap. " * 60 + "The battery lasts four hours. " + "It has a strap. " * 60

    prompt = build_prompt(AGENT, "How long does the battery last?", [passage(1, text)], Past(), BUDGET)

    assert "The battery lasts four hours." in prompt.sources[0].text
    assert f"[1]\n> {prompt.sources[0].text}" in prompt.messages[0].content


def test_a_multilingual_vocabulary_leaves_room_for_more() -> None:
    passages = [passage(number, f"{number}保修期为自购买之日起二十七个月。" * 20) for number in range(1, 9)]

    prompts = [build_prompt(AGENT, "保修?", passages, Past(), replace(BUDGET, vocabulary=one)) for one in Vocabulary]

    english, multilingual = (sum(len(source.text) for source in prompt.sources) for prompt in prompts)
    assert multilingual > 1.7 * english


def test_history_keeps_the_latest_whole_turns() -> None:
    history = [
        said("user", "one"),
        said("assistant", "1"),
        said("user", "never answered"),
        said("user", "two"),
        said("assistant", "2"),
    ]

    assert [turn.content for turn in latest_turns(Past(history), BUDGET)] == ["one", "1", "two", "2"]
    assert [turn.content for turn in latest_turns(Past(history), replace(BUDGET, history=25))] == ["two", "2"]
    assert latest_turns(Past(history), replace(BUDGET, history=0)) == []


def test_passages_that_the_answer_names_are_marked() -> None:
    sources = [Citation(number, "handbook", f"r{number}", 0.5, "text") for number in (1, 2, 3)]

    marked = mark_references(sources, "It lasts 27 months [3], not 24 [1] [99].")

    assert [source.referenced for source in marked] == [True, False, True]
