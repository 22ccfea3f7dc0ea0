"""How long a provider may be silent, whatever it writes between."""

from typing import Any, Final

import pytest

from services.chat.adapters import openai_model
from services.chat.adapters.openai_model import OpenAIModel, Timing
from services.chat.generation import Ask, Heard, PromptMessage

_FIRST_SECONDS: Final = 10.0
_BETWEEN_SECONDS: Final = 1_000.0
_END: Final = b'data: {"choices":[{"index":0,"delta":{"content":"."},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class _Content:
    """The body of an answer, which is read elsewhere."""

    @staticmethod
    def at_eof() -> bool:
        return False


class _Answer:
    """Of a provider that has taken the request."""

    content = _Content

    def close(self) -> None:
        """Nothing is open."""


class _Model(OpenAIModel):
    async def _accepted(self, *_: Any) -> Any:
        return _Answer()


@pytest.mark.parametrize(
    "delta",
    [
        b'{"content":"Hi"}',
        b'{"reasoning_content":"Hm"}',
        b'{"refusal":"No"}',
        b'{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}',
    ],
)
async def test_whatever_a_model_writes_puts_its_deadline_off(delta: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [b'data: {"choices":[{"index":0,"delta":%b}]}\n\n' % delta, _END]
    deadlines = list[float]()

    async def arriving(_response: Any, _reader: Any, deadline: float) -> bytes:
        deadlines.append(deadline)
        return parts[len(deadlines) - 1]

    monkeypatch.setattr(openai_model, "_next", arriving)
    session: Any = None
    model = _Model(session, "http://127.0.0.1/v1", Timing(1, _FIRST_SECONDS, _BETWEEN_SECONDS, None))
    async for _ in model.generate(Ask("m", [PromptMessage("user", "Hi")]), answer_tokens=5, heard=Heard()):
        pass

    assert deadlines[1] - deadlines[0] > _BETWEEN_SECONDS / 2
