"""The words of a message are kept in full, or of its beginning, and never cut while requests wait."""

import threading

import pytest

from services.chat import words
from services.chat.words import asked_words, kept_words
from shared.texts import pairs_of, runs_of, token_of, tokens_of

HAN = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))


def test_a_long_run_without_spaces_has_each_character_and_each_pair() -> None:
    assert tokens_of(HAN) == {*map(token_of, HAN), *map(token_of, pairs_of(HAN))}


@pytest.mark.parametrize("text", [HAN, " ".join(f"w{number}" for number in range(30_000))])
def test_of_a_long_text_the_beginning_is_looked_at(text: str) -> None:
    looked_at = tokens_of(text, most=100)

    assert looked_at <= tokens_of(text[:5_000])
    assert len(looked_at) < 400


def test_what_one_character_stands_for_is_bounded() -> None:
    assert 0 < sum(len(run) + len(word) for run, word in runs_of("\ufdfa" * 32_768, 1_000)) <= 1_000


async def test_the_beginning_of_a_message_is_found_and_no_more_kept_than_may() -> None:
    kept = await kept_words("swordfish " + HAN)

    assert len(kept) == 4 * 4_096
    assert len(await kept_words("swordfish in a short one")) == 4 * 5
    assert asked_words("swordfish")[0] in await kept_words("swordfish " + "again " * 5_000)


async def test_a_long_message_is_cut_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = list[int]()

    def watched(text: str, *, most: int) -> set[int]:
        threads.append(threading.get_ident())
        return tokens_of(text, most=most)

    monkeypatch.setattr(words, "tokens_of", watched)
    await kept_words("Hello")
    await kept_words("\ufdfa" * 32_768)

    assert threads[0] == threading.get_ident() != threads[1]
