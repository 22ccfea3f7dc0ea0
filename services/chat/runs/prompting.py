"""Makes the prompt of a turn, with what is told of turns that it has no room for."""

from collections.abc import Callable, Sequence
from functools import partial

from services.chat.domain import Passage, Prompt, Turn
from services.chat.given_prompt import build_given
from services.chat.past import Past
from services.chat.prompt import PromptBudget, build_prompt, summary_room
from services.chat.runs.means import Means
from services.chat.runs.state import Spent

Rebuild = Callable[[PromptBudget], Prompt]
_TAKEN_UP_MESSAGES = 40  # older than those that may stand in the prompt, of which a summary takes up what fits


async def past_of(turn: Turn, means: Means) -> Past:
    """What was said before that may stand in the prompt, or be told there in short. Raises what Redis raises."""
    more = _TAKEN_UP_MESSAGES if turn.agent.summarises else 0
    return await means.repository.past(turn, means.limits.history_messages + more)


async def prompts_of(
    turn: Turn, passages: Sequence[Passage], past: Past, means: Means, budget: PromptBudget, spent: Spent
) -> Rebuild:
    """What makes the prompt within a budget, of which the first is `budget`.

    An agent that asks for it is told in short what is left out there, which is made first where it is not there yet;
    what that uses up is added to what the run has `spent`. Raises MessageTooLong, PromptTooLong.
    """
    if turn.given:
        return partial(build_given, turn.agent, turn.question.content, turn.given, passages)
    summarises = turn.agent.summarises and summary_room(budget) > 0
    make = partial(
        build_prompt,
        turn.agent,
        turn.question.content,
        passages,
        past.newest(means.limits.history_messages),
        images=turn.question.images,
    )
    if not summarises or not past.total:
        return make
    room_kept = make(budget, "")
    if not room_kept.left_out:
        return make
    summary, usage = await means.summaries.of(turn, past.exchanges, room_kept.given // 2, budget)
    spent.add(usage)
    return partial(make, summary=summary) if summary else make
