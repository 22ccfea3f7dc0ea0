"""Whose answers are known: forty questions about six documents that were written for this, and the six of the demo.

The documents are in German, Chinese, Japanese, Arabic, Hindi, and an English page of HTML; each has 1,500 to 5,000
characters and answers six or seven questions, mostly in the middle of a paragraph. The demo's are about pages of ours.
"""

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.demo import QUESTIONS
from local.demo import documents as demo_documents

INSTRUCTIONS: Final = "Answer in one sentence."
DEMO: Final = "demo"
_FOLDER: Final = Path(__file__).with_name("reach")
_TAG: Final = re.compile(r"<[^>]+>")
# What stands in a passage that answers, and what an answer that is right holds; in the order of the demo.
_DEMO_ANSWERS: Final = (
    ("make down", "make down"),
    ("store: Neo4j", "Neo4j"),
    ("Debian 12 with Python 3.11", "Debian 12 with Python 3.11"),
    ("Apache-2.0", "Apache"),
    ("make bench # speed", "make bench"),
    ("service: chat; owns: conversations", "chat"),
)


@dataclass(frozen=True)
class Question:
    """`sentence` stands in `document` and answers it; an answer that is right holds `fact`."""

    document: str
    question: str
    sentence: str
    fact: str


def questions() -> list[Question]:
    """The forty."""
    return [Question(**one) for one in json.loads((_FOLDER / "questions.json").read_text())]


def demo_questions() -> list[Question]:
    """The six that `make demo` asks."""
    return [Question(DEMO, asked, *answer) for asked, answer in zip(QUESTIONS, _DEMO_ANSWERS, strict=True)]


def documents() -> dict[str, str]:
    """The texts of the forty, by name."""
    return {path.name: path.read_text() for path in sorted(_FOLDER.glob("*.*")) if path.suffix != ".json"}


def to_ingest(names: list[str]) -> list[dict[str, Any]]:
    """Some of the documents, as a task takes them."""
    texts = documents()
    return [{"id": one, "text": texts[one], "type": "html" if one.endswith("html") else "text"} for one in names]


def demo_to_ingest() -> list[dict[str, Any]]:
    """The pages that the demo takes in."""
    return demo_documents()


def plain(text: str) -> str:
    """A text as a reader sees it: no tags, no line ends."""
    return " ".join(html.unescape(_TAG.sub("", text)).split())
