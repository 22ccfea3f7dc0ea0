"""`agent.run`: one turn, whatever happens to its answer."""

from typing import Any

import pytest

from services.tasks.kinds import agent_run
from services.tasks.kinds.agent_run import AGENT_RUN
from shared.errors import Relayed
from tests.unit.tasks.fakes import RecordingContext, conflict

GIVEN = {"agent_id": "01890a5d-ac96-774b-bcce-b302099a8057", "content": "hello"}


async def test_the_answer_of_chat_is_the_result() -> None:
    context = RecordingContext(lambda _call, _body: {"run_id": "r"})

    result = await AGENT_RUN.execute(context, GIVEN)

    call, body, headers = context.calls[0]
    assert result == {"run_id": "r"}
    assert (call, body) == ("POST /api/v1/chat/message", GIVEN)
    assert headers == {"Idempotency-Key": context.task_id}


async def test_a_turn_that_still_runs_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_run, "_ASK_AGAIN_SECONDS", 0)

    def answer(_call: str, _body: Any) -> Any:
        if len(context.calls) < 3:
            raise conflict("common.idempotency_key_in_use")
        return {"run_id": "the first attempt's"}

    context = RecordingContext(answer)

    assert await AGENT_RUN.execute(context, GIVEN) == {"run_id": "the first attempt's"}
    assert len(context.calls) == 3


async def test_another_refusal_of_chat_is_passed_on() -> None:
    def refuse(_call: str, _body: Any) -> Any:
        raise Relayed(404, "agents.not_found", "Not Found", "There is no such agent.")

    with pytest.raises(Relayed, match="no such agent"):
        await AGENT_RUN.execute(RecordingContext(refuse), GIVEN)
