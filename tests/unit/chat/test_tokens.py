"""Estimates err on the high side, and cutting respects them."""

import pytest

from services.chat.tokens import cut_to_tokens, estimate_tokens

# Counted with the tokenizer of SmolLM2.
MEASURED = [
    ("3.14159 26535 89793 23846 26433 83279 50288 41971 69399 37510", 61),
    ("這是一個測試,語言模型如何處理中文字符", 34),
    ("def f(x):\n    return {k: v for k, v in x.items() if v is not None}\n", 29),
    ("Die Bundesrepublik Deutschland ist ein demokratischer und sozialer Bundesstaat.", 25),
]


@pytest.mark.parametrize(("text", "counted"), MEASURED)
def test_an_estimate_is_close_to_what_a_model_counts(text: str, counted: int) -> None:
    assert 0.8 * counted <= estimate_tokens(text) <= 1.6 * counted


def test_nothing_is_no_token() -> None:
    assert estimate_tokens("") == 0


@pytest.mark.parametrize("text", ["word " * 1000, "5" * 1000, "字" * 1000, "x" * 1000, "a\n" * 500])
@pytest.mark.parametrize("limit", [0, 1, 7, 100])
def test_what_is_cut_fits(text: str, limit: int) -> None:
    assert estimate_tokens(cut_to_tokens(text, limit)) <= limit


def test_what_fits_is_not_touched_and_what_does_not_ends_at_a_word() -> None:
    assert cut_to_tokens("short enough", 10) == "short enough"
    assert cut_to_tokens("the quick brown fox jumps over the lazy dog", 8) == "the quick brown fox…"
