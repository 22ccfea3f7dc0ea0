"""Makes the calls of one step: all at once, each told when it is made and when it is done."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import orjson

from services.chat.domain import Decision, Turn, WaitingCall
from services.chat.generation import ToolCall
from services.chat.prompt import PromptBudget, listed, without_marks
from services.chat.runs.events import TOOL_CALLED, TOOL_COMPLETED, parts_told
from services.chat.runs.means import Means
from services.chat.runs.state import LoopState, StepCall
from services.chat.runs.telling import Telling
from services.chat.tokens import cut_to_tokens
from services.chat.tools.builtin import DELEGATE
from services.chat.tools.domain import ToolResult
from services.chat.tools.toolbox import Checked, Toolbox

Delegate = Callable[[str, Mapping[str, Any]], Awaitable[ToolResult]]
EVENT_CHARS = 4_096
_SMALLEST_RESULT = 64
_NO_ROOM = "Something was found, but the prompt has no room for it: answer from what you have."
_REPEATED = "This very call was made twice already: use what it said, or answer without it."


class Steps:
    """The calls of one turn."""

    def __init__(
        self,
        turn: Turn,
        means: Means,
        toolbox: Toolbox,
        state: LoopState,
        telling: Telling,
        budget: PromptBudget,
        delegate: Delegate,
    ) -> None:
        """`delegate` makes a call of `agents.delegate`."""
        self._turn, self._means, self._toolbox = turn, means, toolbox
        self._state, self._telling, self._budget, self._delegate = state, telling, budget, delegate

    def begin(self, text: str, asked: list[ToolCall]) -> list[Checked]:
        """Enter the calls as the present step; what each of them may do, in their order."""
        checks = [self._toolbox.check(self._toolbox.name_of(call.name), call.arguments) for call in asked]
        calls = [
            # A provider is given its own words back, and some take no arguments there that are no JSON.
            StepCall(
                self._state.spent.next_call_id(), check.name, call.name, call.arguments if check.arguments else "{}"
            )
            for call, check in zip(asked, checks, strict=True)
        ]
        self._state.begin_step(text, calls)
        return checks

    async def make(self, checks: list[Checked]) -> None:
        """Those that need no approval, together; more than are allowed at once are not made. Raises what Toolbox.call
        raises."""
        at_once = self._means.limits.tool_calls_at_once
        for call, check in zip(self._state.step, checks, strict=True):
            data = {"call_id": call.id, "tool": call.name, "arguments": check.arguments}
            await self._telling.tell(TOOL_CALLED, data)
        work = []
        for number, (call, check) in enumerate(zip(self._state.step, checks, strict=True)):
            problem = check.problem if number < at_once else f"At most {at_once} calls are made at once."
            if problem is None and self._state.is_worn_out(call, check.arguments):
                problem = _REPEATED
            if problem:
                work.append(self._refuse(call, problem))
            elif check.tool and not check.tool.needs_approval:
                work.append(self._make(call, check))
        await all_of(work)

    def waiting(self) -> list[WaitingCall]:
        """The calls that are still to be decided on."""
        return [WaitingCall(call.id, call.name, orjson.loads(call.arguments)) for call in self._state.undone]

    async def make_decided(self, decisions: Mapping[str, Decision]) -> None:
        """Those that were approved, together. What was denied the model is told."""
        work = []
        for call in self._state.undone:
            decision = decisions.get(call.id, Decision(False))
            check = self._toolbox.check(call.name, call.arguments)
            if not decision.approve:
                work.append(self._refuse(call, f"The user did not approve this call. {decision.reason or ''}".strip()))
            elif check.problem:  # the tool is another by now
                work.append(self._refuse(call, check.problem))
            else:
                work.append(self._make(call, check))
        await all_of(work)

    async def _make(self, call: StepCall, check: Checked) -> None:
        if check.name == DELEGATE:
            await self.complete(call, await self._delegate(call.id, check.arguments or {}))
        else:
            await self.complete(call, await self._toolbox.call(check, call.id, self._turn))

    async def _refuse(self, call: StepCall, problem: str) -> None:
        await self.complete(call, ToolResult.failed(problem))

    async def complete(self, call: StepCall, result: ToolResult) -> None:
        """The call has this result: as much of it as there is room for is told to the model."""
        text, told, is_cut = self._found(result) if result.passages else self._said(result)
        call.result = f"Error: {told}" if result.is_error else told
        data = {
            "call_id": call.id,
            "tool": call.name,
            "is_error": result.is_error,
            "content": text[:EVENT_CHARS],
            "is_truncated": result.is_truncated or is_cut or len(text) > EVENT_CHARS,
        }
        if result.parts:
            data["results"] = parts_told(result.parts)
        await self._telling.tell(TOOL_COMPLETED, data)

    def _found(self, result: ToolResult) -> tuple[str, str, bool]:
        """Passages, as they are shown and told, and whether some are left out: only what is told has a number."""
        cited = self._state.cite(result.passages, result.query, self._budget, self._room())
        told = listed(cited) if cited else _NO_ROOM
        return told, told, len(cited) < len(result.passages)

    def _said(self, result: ToolResult) -> tuple[str, str, bool]:
        """A text, as it is shown and told, and whether it is cut: a source that is named behind the cut is none."""
        text = without_marks(result.content)
        told = cut_to_tokens(text, self._room(), self._budget.vocabulary)
        is_cut = len(told) < len(text)
        if result.sources:
            text = told = self._state.adopt(told, result.sources)
        return text, told, is_cut

    def _room(self) -> int:
        """Tokens for one result: what the prompt has left, shared by the calls of the step."""
        used = sum(self._budget.tokens(message.content) for message in self._state.messages)
        left = self._budget.total - used
        return max(_SMALLEST_RESULT, left // max(1, len(self._state.step)))


async def all_of(work: list[Coroutine[Any, Any, None]]) -> None:
    """All of them, to their ends; raises the first error only then, so that none is left running behind it."""
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
