"""The loop of a turn: the model speaks, its calls are made, and it speaks again, until it has answered."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from services.chat.dialogue.errors import ModelNotFound, PromptTooLong
from services.chat.domain import Decision, Turn, WaitingCall
from services.chat.errors import (
    AnswerEmpty,
    AnswerOffSchema,
    ContextExceeded,
    ConversationNotFound,
    Interrupted,
    MessageTooLong,
    ModelRefused,
    ModelUnknown,
    ToolStepsExceeded,
)
from services.chat.generation import CUT, Ask, PromptMessage, Quote, ToolCall
from services.chat.prompt import PromptBudget, listed_within, tokens_of_tools, without_marks
from services.chat.runs.events import DISCARDED, RETRIEVED, SHORTENED, retrieved, shortened
from services.chat.runs.form import Form
from services.chat.runs.generating import Said, generate
from services.chat.runs.means import Means
from services.chat.runs.prompting import Rebuild, past_of, prompts_of
from services.chat.runs.state import LoopState, Spent
from services.chat.runs.steps import Steps
from services.chat.runs.telling import Telling
from services.chat.tokens import cut_to_tokens
from services.chat.tools.domain import ToolResult
from services.chat.tools.toolbox import Toolbox
from shared.errors import ServiceError, Unauthenticated

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
_TOO_LONG = "The prompt is longer than the model's window."


class Loop:
    """One turn, from its prompt to its answer."""

    def __init__(
        self,
        turn: Turn,
        means: Means,
        toolbox: Toolbox,
        state: LoopState,
        telling: Telling,
        rebuild: Rebuild | None = None,
        depth: int = 0,
    ) -> None:
        """`rebuild` makes the first prompt again, within another budget."""
        self._turn, self._means, self._toolbox, self.state = turn, means, toolbox, state
        self._telling, self._rebuild, self._depth = telling, rebuild, depth
        self._budget = budget_beside(toolbox, means)
        self._steps = Steps(turn, means, toolbox, state, telling, self._budget, self._delegate)
        self._form = Form(turn.response_schema) if turn.response_schema is not None else None

    async def run(self) -> Said | list[WaitingCall]:
        """What the model answers, which is text, or its refusal, or calls of the caller's own tools; or the calls that
        a person is to decide on first.

        Raises ToolStepsExceeded, AnswerEmpty, AnswerOffSchema, and what the model and the journal raise.
        """
        while True:
            said = await self._generate()
            self.state.spent.add(said.completion.usage)
            if calls := self._toolbox.of_caller(said.completion.tool_calls):
                return self._handed_out(said, calls)
            if said.completion.tool_calls:
                await self._discard(said, "tool_calls")
                if waiting := await self._make_calls(said):
                    return waiting
            elif said.completion.refusal or not self._form or self._is_cut(said):
                return said if self._is_cut(said) else _answered(said)
            elif problem := self._form.problem_of(said.text):
                await self._repair(said, self._form, problem)
            else:
                return said

    def _handed_out(self, said: Said, calls: list[ToolCall]) -> Said:
        """The step ends the run. What it would have called of the agent's is not called: its result would be lost, for
        the caller comes again without it, and the model calls it then. Calls that were cut say so."""
        if self._turn.given and self._turn.given.calls_one:
            calls = calls[:1]
        reason = said.completion.finish_reason if self._is_cut(said) else "tool_calls"
        return Said(said.text, replace(said.completion, finish_reason=reason, tool_calls=calls))

    def _is_cut(self, said: Said) -> bool:
        """Whether it is an answer, be it of nothing, that says it was cut or withheld."""
        return bool(self._turn.given) and said.completion.finish_reason in CUT

    async def resume(self, decisions: Mapping[str, Decision]) -> Said | list[WaitingCall]:
        """Go on where `run` stopped for calls, now that they are decided."""
        await self._steps.make_decided(decisions)
        self.state.end_step()
        return await self.run()

    async def _make_calls(self, said: Said) -> list[WaitingCall]:
        self.state.spent.steps += 1
        if self.state.spent.steps > self._means.limits.tool_steps:
            raise ToolStepsExceeded(self._means.limits.tool_steps)
        checks = self._steps.begin(said.text, list(said.completion.tool_calls))
        await self._steps.make(checks)
        if waiting := self._steps.waiting():
            return waiting
        self.state.end_step()
        return []

    async def _delegate(self, call_id: str, arguments: Mapping[str, Any]) -> ToolResult:
        """What another agent answers to a task: a turn of its own within this one, of no conversation.

        One that fails is told to the model; not so what ends this run too.
        """
        agent_id = self._toolbox.delegates[arguments["agent"]]
        telling = Telling(self._telling.journal, agent_id, call_id)
        try:
            with self._means.delegates.place(self._turn.owner):
                agent = await self._means.agents.get(agent_id, token=self._turn.token)
                chosen = await self._means.choice.of(agent.model or self._means.default_model)
                child = self._turn.handed_on(agent, without_marks(arguments["task"]), model=chosen.model.name)
                means = self._means.within(chosen.budget)
                loop = await begin_loop(child, means, telling, self.state.spent, self._depth + 1)
                said = await loop.run()
        except (ConversationNotFound, Interrupted, ToolStepsExceeded, Unauthenticated):
            raise
        except ServiceError as error:
            return ToolResult.failed(error.detail)
        if not isinstance(said, Said):  # its toolbox has nothing that waits
            raise TypeError("a turn within another waits")
        return ToolResult(said.text or said.completion.refusal or "", sources=loop.state.sources)

    async def _repair(self, said: Said, form: Form, problem: str) -> None:
        """One more try, told what was wrong. Raises AnswerOffSchema when this was it."""
        if self.state.is_repaired:
            raise AnswerOffSchema(problem)
        self.state.is_repaired = True
        await self._discard(said, "off_schema")
        tried = PromptMessage("assistant", without_marks(said.text))
        self.state.messages += [tried, PromptMessage("user", form.request(problem))]

    async def _discard(self, said: Said, reason: str) -> None:
        """Have whoever joins pieces of the answer forget those told since the last such event."""
        if said.text:
            await self._telling.tell(DISCARDED, {"reason": reason})

    async def _generate(self) -> Said:
        try:
            return await self._generate_once()
        except ModelUnknown as error:  # its provider lists none, and has not the one that was asked for
            if self._turn.agent.id:
                raise
            raise ModelNotFound(self._turn.model) from error
        except ContextExceeded:  # lengths are estimates: once more with less around the question
            await self._shrink()
        try:
            return await self._generate_once()
        except ContextExceeded as error:
            raise (PromptTooLong() if self._turn.given else ModelRefused(_TOO_LONG)) from error

    async def _generate_once(self) -> Said:
        schema = self._turn.response_schema
        is_plain = not self._toolbox.specs and schema is None and self.state.messages[-1].role == "user"
        sources = [Quote(source.number, source.text) for source in self.state.sources] if is_plain else []
        ask = Ask(self._turn.model, list(self.state.messages), self._toolbox.specs, schema, sources)
        if given := self._turn.given:
            ask = replace(
                ask,
                options=given.asked(has_called=self.state.spent.steps > 0),
                answer_tokens=given.answer_tokens,
                answer_name=given.answer_name,
                may_be_cut=True,
            )
        return await generate(ask, self._means, self._telling)

    async def _shrink(self) -> None:
        """The first prompt is made again within half of its budget; later what tools said is halved.

        Raises ModelRefused where that leaves no room for the message. Of what a caller has given nothing is cut: it is
        asked without sources, or PromptTooLong is raised.
        """
        if self._turn.given:
            if not (self._rebuild and self.state.sources and not self.state.spent.steps):
                raise PromptTooLong
            self.state.restart(self._rebuild(replace(self._budget, sources=0)))
            return
        if self._rebuild and self.state.is_fresh:
            try:
                prompt = self._rebuild(self._budget.halved())
            except MessageTooLong as error:
                raise ModelRefused(_TOO_LONG) from error
            self.state.restart(prompt)
            if prompt.left_out:
                await self._telling.tell(SHORTENED, shortened(prompt))
            return
        self.state.messages = [_halved(message, self._budget) for message in self.state.messages]
        self.state.forget_unnamed()


async def begin_loop(turn: Turn, means: Means, telling: Telling, spent: Spent | None = None, depth: int = 0) -> Loop:
    """Retrieves, reads the tools and what was said before, all at once, and makes the prompt. Raises what these raise.

    What was found is stored while the model is asked: its first piece waits for no more than its own storing.
    """
    evidence, toolbox, past = await _together(
        means.retriever.retrieve(turn.agent, turn.question.content, token=turn.token),
        means.tools.open(turn.agent, token=turn.token, depth=depth, given=turn.given),
        past_of(turn, means),
    )
    telling.tell_behind(RETRIEVED, retrieved(evidence))
    spent = spent or Spent()
    try:
        rebuild = await prompts_of(turn, evidence.passages, past, means, budget_beside(toolbox, means), spent)
        prompt = rebuild(budget_beside(toolbox, means))
    except MessageTooLong as error:
        if not toolbox.specs:
            raise
        raise ModelRefused("The descriptions of the agent's tools leave the message no room.") from error
    if prompt.left_out:
        await telling.tell(SHORTENED, shortened(prompt))
    state = LoopState(list(prompt.messages), list(prompt.sources), list(evidence.warnings), spent)
    return Loop(turn, means, toolbox, state, telling, rebuild, depth)


async def _together(
    one: Coroutine[Any, Any, A], two: Coroutine[Any, Any, B], three: Coroutine[Any, Any, C]
) -> tuple[A, B, C]:
    """What each of them answers; raises the first's error once all have ended, so that none is left running."""
    found = await asyncio.gather(one, two, three, return_exceptions=True)
    for outcome in found:
        if isinstance(outcome, BaseException):
            raise outcome
    return cast("tuple[A, B, C]", tuple(found))


def budget_beside(toolbox: Toolbox, means: Means) -> PromptBudget:
    """What the prompt may be: the model reads the descriptions of its tools too."""
    budget = means.limits.budget
    return replace(budget, total=max(0, budget.total - tokens_of_tools(toolbox.specs, budget.vocabulary)))


def _halved(message: PromptMessage, budget: PromptBudget) -> PromptMessage:
    if message.role != "tool":
        return message
    limit = budget.tokens(message.content) // 2
    shorter = listed_within(message.content, limit, budget) or cut_to_tokens(message.content, limit, budget.vocabulary)
    return PromptMessage("tool", shorter, tool_call_id=message.tool_call_id)


def _answered(said: Said) -> Said:
    """Raises AnswerEmpty: nothing said is no answer."""
    if not said.text.strip() and not said.completion.refusal:
        raise AnswerEmpty(said.completion.finish_reason, has_thought=False)
    return said
