"""How long a text is for a model, without that model's tokenizer."""

import math
import string

_PROSE = (string.ascii_letters + " ").encode()
_ASCII = bytes(range(128))
# Bytes per token by kind of byte. Measured with SmolLM2's vocabulary: English prose 5.1, German 3.2, source code 2.4,
# Chinese 1.6, digits 1.0. The figures below stay under those, so that an estimate rather errs on the high side.
_BYTES_PER_TOKEN_PROSE = 4.0
_BYTES_PER_TOKEN_OTHER = 1.5


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` is: prose by the word, digits and punctuation one by one, other scripts by bytes."""
    data = text.encode()
    without_prose = data.translate(None, _PROSE)
    beyond_ascii = len(without_prose.translate(None, _ASCII))
    prose = len(data) - len(without_prose)
    symbols = len(without_prose) - beyond_ascii
    return math.ceil(prose / _BYTES_PER_TOKEN_PROSE + symbols + beyond_ascii / _BYTES_PER_TOKEN_OTHER)


def cut_to_tokens(text: str, limit: int) -> str:
    """The beginning of `text` that is about `limit` tokens, ended at a word and marked as cut; `text` when it fits."""
    while text and (estimated := estimate_tokens(text)) > limit:
        kept = text[: max(0, int(len(text) * limit / estimated) - 1)]
        text = kept.rsplit(None, 1)[0] + "…" if " " in kept else kept
    return text
