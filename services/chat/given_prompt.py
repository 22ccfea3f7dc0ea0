"""Makes the prompt of a turn whose history its caller gives: whole, or not at all.

An agent speaks as itself: its instructions come first, then what the caller's own system messages say, then what was
found, in one message, since many templates take no second one. The rest follows as it was given. A model that is asked
by itself is given the messages as they are. Of both, what the assistant says twice in a row is one message.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from services.chat.dialogue.errors import PromptTooLong
from services.chat.domain import Agent, Citation, Passage, Prompt
from services.chat.generation import PromptMessage
from services.chat.given import Given
from services.chat.prompt import (
    MESSAGE_TOKENS,
    PromptBudget,
    number_sources,
    system_messages,
    tokens_around,
    without_marks,
)

_FEWEST_TOKENS = 0.25  # of one character, by any vocabulary


def tokens_of(messages: Sequence[PromptMessage], budget: PromptBudget) -> int:
    """About how many they have. Raises PromptTooLong, and counts no text of which its length tells that already."""
    texts = [part for one in messages for part in _texts(one)]
    seen = sum(budget.tokens_of_images(one.images) for one in messages)
    least = seen + int(sum(map(len, texts)) * _FEWEST_TOKENS)
    if least > budget.total:
        raise PromptTooLong(least, budget.total)
    return seen + sum(map(budget.tokens, texts)) + MESSAGE_TOKENS * len(messages)


def most_chars_of(budget: PromptBudget) -> int:
    """As many as messages may have that are not refused for their length alone."""
    return int(budget.total / _FEWEST_TOKENS)


def _texts(message: PromptMessage) -> list[str]:
    return [message.content, *[part for call in message.tool_calls for part in (call.name, call.arguments)]]


def require_given_fit(agent: Agent, given: Given, budget: PromptBudget) -> int:
    """What the prompt has at least. Raises PromptTooLong where that is more than the model holds."""
    needed = given.tokens + (tokens_around(agent, "", budget) if agent.id else 0)
    if needed > budget.total:
        raise PromptTooLong(needed, budget.total)
    return needed


def build_given(agent: Agent, question: str, given: Given, passages: Sequence[Passage], budget: PromptBudget) -> Prompt:
    """The prompt, with as many of the best `passages` as fit. Raises PromptTooLong."""
    left = budget.total - require_given_fit(agent, given, budget)
    if not agent.id:
        return Prompt(_told(given.messages), [])
    sources = number_sources(passages, question, replace(budget, sources=min(budget.sources, left)))
    return Prompt([*_beginning(agent, given, sources), *_rest(given)], sources)


def _beginning(agent: Agent, given: Given, sources: Sequence[Citation]) -> list[PromptMessage]:
    said = [agent.instructions, *[one.content for one in given.messages if one.role == "system"]]
    return system_messages(replace(agent, instructions="\n\n".join(text for text in said if text)), sources, "")


def _rest(given: Given) -> list[PromptMessage]:
    """With no mark of a role in what a model or a tool has said."""
    return _told(
        one if one.role == "user" else replace(one, content=without_marks(one.content))
        for one in given.messages
        if one.role != "system"
    )


def _told(messages: Iterable[PromptMessage]) -> list[PromptMessage]:
    """What an assistant says in several messages in one: an agent speaks before it calls its own tools, which are not
    given back, and after them, and many templates refuse a role that comes twice."""
    told, said = list[PromptMessage](), list[list[str]]()
    for one in messages:
        before = told[-1] if told else None
        if before and before.role == one.role == "assistant" and before.name == one.name and not before.tool_calls:
            told[-1] = one
            said[-1].append(one.content)
        else:
            told.append(one)
            said.append([one.content])
    return [
        replace(one, content="\n\n".join(filter(None, texts))) if len(texts) > 1 else one
        for one, texts in zip(told, said, strict=True)
    ]
