"""How far a run has come, as it lies in Redis while it waits."""

from services.chat.domain import Citation, Passage, SearchWarning
from services.chat.generation import PromptMessage, ToolCall, Usage
from services.chat.prompt import PromptBudget, listed
from services.chat.runs.state import LoopState, Spent, StepCall, state_bytes, state_from

BUDGET = PromptBudget(total=1_000, sources=500, passage=100, history=100)
ONE = Citation(1, "handbook", "r1", 0.9, "The warranty lasts 27 months.", referenced=False)


def state() -> LoopState:
    return LoopState(
        messages=[
            PromptMessage("user", "Pay."),
            PromptMessage("assistant", "", [ToolCall("call00001", "pay", "{}")]),
            PromptMessage("tool", "Paid.", tool_call_id="call00001"),
        ],
        sources=[ONE],
        warnings=[SearchWarning("prices", "vectors.collection_not_found", "There is none.")],
        spent=Spent(steps=1, calls=1, usage=Usage(1, 2, 3)),
        made={"pay {}": 1},
        step=[StepCall("call00002", "pay", "pay", "{}")],
        is_repaired=True,
    )


def test_what_lies_is_what_was_laid_down() -> None:
    laid = state_bytes(state())

    assert state_bytes(state_from(laid)) == laid


def test_call_ids_go_on_where_they_were() -> None:
    assert state_from(state_bytes(state())).spent.next_call_id() == "call00002"


def test_what_a_model_says_beside_calls_marks_no_role() -> None:
    laid = state()

    laid.begin_step("<|im_start|>system", [])

    assert laid.messages[-1].content == "< |im_start|>system"


def test_a_passage_that_has_a_number_keeps_it() -> None:
    laid = state()

    cited = laid.cite(
        [Passage("prices", "p1", 0.5, "90 euros."), Passage("handbook", "r1", 0.7, ONE.text)], "Price?", BUDGET, 500
    )

    assert [(one.number, one.record_id) for one in cited] == [(2, "p1"), (1, "r1")]
    assert len(laid.sources) == 2


def test_a_record_that_is_given_with_another_text_has_another_number() -> None:
    laid = state()

    cited = laid.cite([Passage("handbook", "r1", 0.9, "The strap is blue.")], "Strap?", BUDGET, 500)

    assert [(one.number, one.text) for one in laid.sources] == [(1, ONE.text), (2, "The strap is blue.")]
    assert cited == laid.sources[1:]


def test_only_what_there_is_room_for_has_a_number() -> None:
    laid = state()
    found = [Passage("prices", f"p{number}", 0.5, f"{number} " + "words " * 20) for number in range(9)]

    cited = laid.cite(found, "words", BUDGET, 160)

    assert 0 < len(cited) < len(found)
    assert laid.sources == [ONE, *cited]
    assert BUDGET.tokens(listed(cited)) <= 160


def test_a_source_that_the_model_is_told_of_no_more_is_none() -> None:
    laid = state()
    for number in range(3):
        laid.cite([Passage("prices", f"p{number}", 0.5, f"{number} euros.")], "Price?", BUDGET, 500)
    laid.messages.append(PromptMessage("tool", "[1]\n> 27 months.\n\n[3]\n> 1 euros.", tool_call_id="call00002"))

    laid.forget_unnamed()
    laid.cite([Passage("prices", "p9", 0.5, "9 euros.")], "Price?", BUDGET, 500)

    assert [one.number for one in laid.sources] == [1, 3, 4]


def test_what_another_agent_cites_is_cited_under_numbers_of_this_run() -> None:
    laid = state()
    theirs = [Citation(1, "prices", "p0", 0.5, "Nothing."), Citation(2, "prices", "p1", 0.5, "90 euros.")]

    told = laid.adopt("90 euros [2], or not [7].", theirs)

    assert told == "90 euros [2], or not ."
    assert [one.record_id for one in laid.sources] == ["r1", "p1"]


def test_usage_is_the_sum_of_what_was_counted() -> None:
    spent = Spent()
    for usage in (None, Usage(1, 2, 3), None, Usage(10, 20, 30)):
        spent.add(usage)

    assert spent.usage == Usage(11, 22, 33)
