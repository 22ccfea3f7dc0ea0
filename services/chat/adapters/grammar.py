"""GBNF, the notation in which llama.cpp's server is told what an answer may be."""

from collections.abc import Sequence

from services.chat.generation import Quote


def exactly(quotes: Sequence[Quote]) -> str:
    """An answer that is `quotes`, each with its number behind it. Their texts stand on one line each."""
    answer = " ".join(f"{quote.text} [{quote.number}]" for quote in quotes)
    return f'root ::= "{_escaped(answer)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
