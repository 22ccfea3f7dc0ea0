"""What a generation has used, asked for again and again while it goes on."""

import time

from services.chat.generation import Ask, PromptMessage
from services.chat.models.domain import Model, ModelLimits
from services.chat.tokens import Vocabulary, estimate_tokens
from services.chat.usage.meter import Generation

_PIECE = "Die Wärme und the heat, 漢字. " * 100
_PIECES = 200


def test_what_was_said_is_counted_once_however_often_that_is_asked() -> None:
    ask = Ask("m", [PromptMessage("user", "Hi")])
    generation = Generation(Model("default", "m", "m", ModelLimits(None, 512)), ask, Vocabulary.ENGLISH)
    generation.heard.has_begun = True
    began = time.process_time()
    whole = estimate_tokens(_PIECE * _PIECES)
    once = time.process_time() - began

    began = time.process_time()
    for _ in range(_PIECES):
        generation.take(_PIECE)
        found = generation.so_far()
    took = time.process_time() - began
    generation.heard.beside = "f{}"
    at_last = generation.so_far()

    assert found
    assert at_last
    assert found.completion_tokens == whole
    assert at_last.completion_tokens == estimate_tokens(_PIECE * _PIECES + "f{}")
    assert took < 20 * once  # of which it would be a hundred where each begins anew
