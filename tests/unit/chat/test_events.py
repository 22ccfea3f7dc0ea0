"""Server-sent events as the specification frames them."""

import orjson

from services.chat.runs.events import Event, failed
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
