"""What is told of a text before the model reads it, beside what the model says."""

import random
import unicodedata

import pytest

from services.vectors.adapters.embeddings_local import LocalEmbedder
from services.vectors.adapters.embeddings_weight import MOST_WRITTEN_OUT, weight, written_out
from services.vectors.domain import MAX_TEXT_CHARS
from services.vectors.errors import TextExpands
from tests.unit.vectors.test_embeddings import ADA, Gated
from tests.unit.vectors.test_windows import SAMPLES

PHRASE = "\ufdfa"
_PROSE_BYTES = 4  # a token


def drawn(letters: str) -> str:
    return "".join(random.Random(3).choices(letters, k=2000))


TEXTS = {
    **{name: text * 20 for name, text in SAMPLES.items()},
    "emoji": drawn("😀🎉🚀🔥🌍"),
    "numbers": drawn("0123456789"),
    "signs": drawn("!?.,;:()[]{}<>@#$%^&*-+=/"),
    "phrases": PHRASE * 500,
}


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_takes_a_model_more_than_twice_as_long_as_its_weight_says(text: str) -> None:
    embedder = LocalEmbedder(threads=1, timeout_seconds=60, cached=0)

    tokens = embedder.tokens_of(TEXTS[text], is_query=False)

    assert tokens * _PROSE_BYTES <= 2 * weight(TEXTS[text])


@pytest.mark.parametrize("letters", ["😀", "!", "中"])
async def test_a_batch_takes_as_long_whatever_is_in_it(letters: str) -> None:
    """By characters, one of emoji took four times as long as one of prose."""
    embedder = Gated()
    embedder.let(10)

    await embedder.embed_passages([letters, letters * 2, letters * 3], ADA)

    assert [len(batch) for batch in embedder.batches] == [1, 1, 1] if letters != "中" else [2, 1]


def test_what_stands_for_a_phrase_is_counted_as_the_phrase() -> None:
    assert written_out(f"a{PHRASE} ü") == f"a{unicodedata.normalize('NFKC', PHRASE)} ü"
    assert weight(PHRASE * 100) == weight(unicodedata.normalize("NFKC", PHRASE) * 100)
    assert all(
        len(unicodedata.normalize("NFKC", char)) < 4
        for char in map(chr, range(0x110000))
        if written_out(char) == char and not 0xD800 <= ord(char) < 0xE000
    )


async def test_the_built_in_model_reads_phrases_within_its_room() -> None:
    """It wrote past the end of its memory: what was said last of the process was `malloc(): corrupted top size`."""
    embedder = LocalEmbedder(threads=1, timeout_seconds=60, cached=0)
    try:
        phrases, written = await embedder.embed(
            [PHRASE * 300, unicodedata.normalize("NFKC", PHRASE) * 300], ADA, is_query=False
        )
    finally:
        await embedder.aclose()

    assert phrases.tokens == pytest.approx(written.tokens, rel=0.05)
    assert float(phrases.vector @ written.vector) == pytest.approx(1, abs=0.01)


async def test_a_text_of_nothing_but_phrases_never_comes_to_the_model() -> None:
    embedder = Gated()

    with pytest.raises(TextExpands, match=f"{MOST_WRITTEN_OUT:,}"):
        await embedder.embed_query(PHRASE * MAX_TEXT_CHARS, ADA)

    assert embedder.batches == []
