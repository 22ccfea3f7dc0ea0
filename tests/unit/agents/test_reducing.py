"""Answers of tools become text, whatever servers say of them, and nothing of a secret is left at a cut."""

import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest

from services.agents.calls.domain import MOST_BYTES, Called
from services.agents.calls.redaction import without_secrets
from services.agents.calls.reducing import reduced
from services.agents.tools.domain import MOST_CONTENT
from shared.outbound import Content

SECRET = "k=93<a&e>7c/d\"q\\+'zzz"


def answer(body: bytes, content_type: str = "text/plain", status: int = 200, *, is_cut: bool = False) -> Content:
    return Content(status, {"content-type": content_type}, body, is_cut)


@pytest.mark.parametrize(
    "charset", ["punycode", "undefined", "idna", "utf-7", "zlib", "rot13", "unicode_escape", "no-such", "a\x00b", "é"]
)
def test_a_charset_that_is_none_of_texts_is_read_as_utf_8(charset: str) -> None:
    began = time.thread_time()  # of a processor, so that a busy machine does not count

    called = reduced(answer(b"a-" + b"9z" * (MOST_BYTES // 2 - 1), f"text/plain; charset={charset}"))

    assert called.content.startswith("a-9z9z")
    assert time.thread_time() - began < 5  # as it is named, half a minute


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "windows-1252", "shift_jis", "gb18030", "big5", "koi8-r"])
def test_a_charset_of_texts_is_read(charset: str) -> None:
    text = "§" if charset in ("latin-1", "windows-1252") else "Я"

    assert reduced(answer(text.encode(charset), f"text/plain; charset={charset}")).content == text


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("shown", [1, 7, len(SECRET) - 1])
def test_a_secret_across_a_cut_is_taken_out_whole(status: int, shown: int) -> None:
    bare = reduced(answer(b"", status=status)).content if status == 500 else ""
    most = (2_000 - len(bare.removesuffix(".") + ": ")) if status == 500 else MOST_CONTENT
    body = "x" * (most - shown) + SECRET + "y" * 100

    called = reduced(answer(body.encode(), status=status)).without({"KEY": SECRET})

    assert "k=" not in called.content
    assert called.is_truncated


def test_a_secret_at_the_end_of_what_was_read_is_not_told_though_others_were_shortened() -> None:
    body = SECRET * (MOST_BYTES // len(SECRET) + 1)

    called = reduced(answer(body.encode()[:MOST_BYTES], is_cut=True)).without({"KEY": SECRET})

    assert called.content.replace("[KEY]", "") == ""
    assert called.is_truncated


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
        json.dumps(SECRET)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        html.escape(SECRET),
        html.escape(SECRET).replace("&#x27;", "&#39;"),
        *(base64.b64encode(f"{before}{SECRET}".encode()).decode() for before in ("", "u", "u:", "me:")),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_found_as_servers_write_it(written: str) -> None:
    for value in (SECRET, f" {SECRET} "):
        told = without_secrets(f"so {written} it is", {"KEY": value})

        assert "[KEY]" in told
        assert not any(part in told for part in ("93", "OTM", "5Mz", "kzP"))  # its first characters, in base64 too


def test_a_secret_within_another_leaves_nothing_of_it() -> None:
    assert without_secrets("a-long-secret-and-more", {"A": "long-secret", "B": "secret-and"}) == "a-[A]-more"


def test_secrets_that_fill_an_answer_take_no_time() -> None:
    began = time.thread_time()

    Called("a" * MOST_BYTES).without({f"S{number}": "a" * (8 + number) for number in range(100)})

    assert time.thread_time() - began < 5
