"""Server-sent events as the specification frames them."""

import orjson

from services.chat.domain import Evidence, Passage
from services.chat.runs.events import Event, failed, retrieved
from shared.errors import Unavailable


def test_an_event_is_one_frame_with_id_type_and_data() -> None:
    event = Event(7, "message.delta", b'{"content":"two\\nlines"}')

    assert event.frame() == b'id: 7\nevent: message.delta\ndata: {"content":"two\\nlines"}\n\n'


def test_a_failure_says_what_the_answer_would_have_said() -> None:
    error = Unavailable("model", retry_after_seconds=5)
    error.members["conversation_id"] = "c"

    event = failed(3, error)

    told = orjson.loads(event.data)
    assert (event.number, event.type) == (3, "run.failed")
    assert (told["status"], told["code"], told["retry_after_seconds"]) == (503, "common.unavailable", 5)
    assert told["conversation_id"] == "c"


def test_of_very_long_passages_only_the_best_are_told_and_it_is_said_so() -> None:
    passages = [Passage("handbook", str(number), 1.0, "x" * 16_384) for number in range(9)]

    short, long = retrieved(Evidence(passages[:8])), retrieved(Evidence(passages))

    assert (short["passages"], short["is_truncated"]) == (passages[:8], False)
    assert (long["passages"], long["is_truncated"]) == (passages[:8], True)
