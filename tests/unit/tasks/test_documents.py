"""Documents of every type, read by the process that reads them; and what it refuses, each by its own code."""

import asyncio
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from services.tasks.documents.blocks import Block, BlockKind, DocumentType
from services.tasks.documents.bounds import CPU_SECONDS
from services.tasks.documents.failures import FAILURES
from services.tasks.documents.process import Job, blocks_in, read
from services.tasks.documents.sources import type_of
from services.tasks.errors import PermanentFailure
from shared.errors import Unavailable
from tests.data.documents.formats import WORD, docx, package, paragraph, pdf
from tests.data.documents.make import FOLDER, documents
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.unit.tasks.test_confined import confined

BY_ENDING = {
    "txt": DocumentType.TEXT,
    "md": DocumentType.MARKDOWN,
    "html": DocumentType.HTML,
    "csv": DocumentType.CSV,
    "json": DocumentType.JSON,
    "pdf": DocumentType.PDF,
    "docx": DocumentType.DOCX,
}
ROW, CODE, ITEM, HEADING = BlockKind.ROW, BlockKind.CODE, BlockKind.ITEM, BlockKind.HEADING


async def blocks(folder: Path, content: bytes | str, stated: DocumentType) -> list[Block]:
    path, out = folder / "document", folder / "out"
    raw = content if isinstance(content, bytes) else content.encode()
    await asyncio.to_thread(path.write_bytes, raw)
    await read([Job("the document", stated, path)], out)
    return [block for _, block in await asyncio.to_thread(list[Any], blocks_in(out))]


async def failure(folder: Path, content: bytes | str, stated: DocumentType) -> str:
    with pytest.raises(PermanentFailure) as refused:
        await blocks(folder, content, stated)
    assert refused.value.detail.startswith("the document: ")
    return refused.value.code.removeprefix("tasks.document_")


def test_the_documents_are_what_their_program_writes() -> None:
    found = {one.name: one.read_bytes() for one in FOLDER.iterdir() if one.suffix.lstrip(".") in BY_ENDING}

    assert found == documents()


async def test_every_document_of_ours_is_read_together(tmp_path: Path) -> None:
    paths = [FOLDER / name for name in documents()]
    jobs = [Job(path.name, BY_ENDING[path.suffix.lstrip(".")], path) for path in paths]

    await read(jobs, tmp_path / "out")

    said = dict.fromkeys((path.name for path in paths), "")
    for index, block in await asyncio.to_thread(list[Any], blocks_in(tmp_path / "out")):
        said[paths[index].name] += block.text
    expected = {
        "lighthouse.txt": "half an hour before sunset",
        "bienen.md": "Monat: Juli; Arbeit: Honig schleudern",
        "fromage.html": "12 degrés",
        "huerto.html": "- Las cebollas",
        "museum.pdf": "nine pounds; children under twelve come in free.",
        "heizung.pdf": "mit dem Vierkantschlüssel auf",
        "alquiler.docx": "La fianza del piso",
        "refuge.docx": "Service: Dîner; Horaires: à 19 h précises",
        "zuege.csv": "Ziel: Zürich; Abfahrt: 8:05 Uhr; Gleis: 3",
        "ramen.csv": "料理: 味噌ラーメン; 値段: 950円",
        "bicycles.json": "model: Courier; kind: cargo bicycle; carries: 180 kg",
        "onsen.json": "質問: 営業時間; 答え: 朝六時から",
    }
    assert [name for name, words in expected.items() if words not in said[name]] == []


async def test_of_a_page_its_own_text_is_read(tmp_path: Path) -> None:
    page = (
        "<html><head><title>Tab</title><style>a{}</style></head><body><nav>Home</nav><header>Site</header>"
        "<div hidden>never</div><h1>A <b>big</b> title</h1>loose<p>one<br>two <a href='x'>link</a></p>"
        "<ul><li>outer<ul><li>inner</li></ul></li></ul><table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr>"
        "</table><pre><code class='language-python'>x = 1\n  y</code></pre><script>alert(1)</script>"
        "<footer>Imprint</footer></body></html>"
    )

    found = await blocks(tmp_path, page, DocumentType.HTML)

    assert [(block.kind.value, block.text) for block in found] == [
        ("paragraph", "Site"),
        ("heading", "A big title"),
        ("paragraph", "loose"),
        ("paragraph", "one\ntwo link"),
        ("item", "- outer"),
        ("item", "- inner"),
        ("row", "A: 1; B: 2"),
        ("code", "x = 1\n  y"),
    ]
    assert found[-1].language == "python"


async def test_markdown_loses_its_marks_and_nothing_else(tmp_path: Path) -> None:
    text = (
        "---\ntitle: x\n---\n# A *title*\n\nSee [this](http://x) and `that`.\n\n- one\n\n```sh\nls -l\n```\n\n"
        "<p>raw <i>html</i></p>\n"
    )

    found = await blocks(tmp_path, text, DocumentType.MARKDOWN)

    assert [(block.kind.value, block.text) for block in found] == [
        ("paragraph", "title: x"),
        ("heading", "A title"),
        ("paragraph", "See this and that."),
        ("item", "- one"),
        ("code", "ls -l"),
        ("paragraph", "raw html"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
async def test_a_text_is_read_in_whatever_encoding_it_is(tmp_path: Path, encoding: str) -> None:
    found = await blocks(tmp_path, "Zürich: schöne Grüße\r\n\r\naus Köln".encode(encoding), DocumentType.TEXT)

    assert [block.text for block in found] == ["Zürich: schöne Grüße", "aus Köln"]


async def test_a_page_is_read_in_the_encoding_that_it_names(tmp_path: Path) -> None:
    page = '<meta charset="shift_jis"><p>日本語</p>'.encode("shift_jis")

    assert [block.text for block in await blocks(tmp_path, page, DocumentType.HTML)] == ["日本語"]


def encrypted_pdf() -> bytes:
    mark = "00" * 32
    return pdf(
        [["secret"]],
        trailer=f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -1 /O <{mark}> /U <{mark}> >> /ID [<00> <00>] ",
    )


def encrypted_office() -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")


def laughing(entity: str) -> bytes:
    return package(
        f'<?xml version="1.0"?><!DOCTYPE w [{entity}]>'
        f'<w:document xmlns:w="{WORD}"><w:body>{paragraph("")}&a;</w:body></w:document>'
    )


LAUGHS = '<!ENTITY z "ha">' + "".join(
    f'<!ENTITY {a} "{f"&{b};" * 10}">' for a, b in zip("abcdefghi", "bcdefghiz", strict=True)
)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.mark.parametrize(
    ("content", "stated", "code"),
    [
        pytest.param(encrypted_pdf(), "pdf", "encrypted", id="encrypted PDF"),
        pytest.param(encrypted_office(), "docx", "encrypted", id="encrypted DOCX"),
        pytest.param(b"%PDF-1.7\nand then nothing", "pdf", "broken", id="broken PDF"),
        pytest.param(docx(paragraph("x"))[:-40], "docx", "broken", id="DOCX cut off"),
        pytest.param(package("<w:document"), "docx", "broken", id="DOCX of broken XML"),
        pytest.param(package(b" " * (65 * 2**20)), "docx", "too_large", id="zip bomb"),
        pytest.param(laughing(LAUGHS), "docx", "broken", id="billion laughs"),
        pytest.param(laughing('<!ENTITY a SYSTEM "file:///etc/passwd">'), "docx", "broken", id="external entity"),
        pytest.param(pdf([[]] * 2001), "pdf", "too_many_pages", id="too many pages"),
        pytest.param(pdf([[], []]), "pdf", "without_text", id="scan"),
        pytest.param(PNG, "pdf", "type_wrong", id="picture as PDF"),
        pytest.param(PNG, "text", "type_wrong", id="picture as text"),
        pytest.param(bytes(range(256)) * 4, "text", "type_wrong", id="bytes as text"),
        pytest.param(pdf([["x"]]), "docx", "type_wrong", id="PDF as DOCX"),
        pytest.param(b"PK\x05\x06" + bytes(18), "docx", "type_wrong", id="another ZIP"),
        pytest.param("just text", "pdf", "type_wrong", id="text as PDF"),
        pytest.param("{", "json", "broken", id="broken JSON"),
        pytest.param("[" * 100_000, "json", "too_deep", id="nested JSON"),
        pytest.param("<div>" * 1000 + "x", "html", "too_deep", id="nested HTML"),
        pytest.param('a,b\n"never closed', "csv", "broken", id="broken CSV"),
        pytest.param("word " * 2_100_000, "text", "too_large", id="too much text"),
    ],
)
async def test_what_cannot_be_read_is_told_by_a_code(
    tmp_path: Path, content: bytes | str, stated: str, code: str
) -> None:
    assert await failure(tmp_path, content, DocumentType(stated)) == code


async def test_of_several_documents_the_one_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    await asyncio.to_thread(good.write_text, "[1]")
    await asyncio.to_thread(bad.write_text, "[")

    with pytest.raises(PermanentFailure, match=r"^bad: "):
        await read([Job(one.name, DocumentType.JSON, one) for one in (good, bad)], tmp_path / "out")


async def test_what_takes_too_long_is_ended_with_its_process(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")  # nobody writes into it

    with pytest.raises(PermanentFailure) as refused:
        await read([Job("fifo", DocumentType.TEXT, tmp_path / "fifo")], tmp_path / "out", seconds=2)

    assert refused.value.code == "tasks.document_too_slow"
    assert confined() == []


async def test_a_task_that_is_cancelled_ends_the_process(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reading = asyncio.create_task(read([Job("fifo", DocumentType.TEXT, tmp_path / "fifo")], tmp_path / "out"))
    await begun()

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert confined() == []


async def test_a_document_that_ends_its_process_fails_the_task_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reading = asyncio.create_task(read([Job("fifo", DocumentType.TEXT, tmp_path / "fifo")], tmp_path / "out"))
    process = await begun()

    os.kill(process, signal.SIGSEGV)

    with pytest.raises(PermanentFailure) as refused:
        await reading
    assert refused.value.code == "tasks.document_crashed"


async def test_a_document_that_computes_too_long_is_told_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reading = asyncio.create_task(read([Job("fifo", DocumentType.TEXT, tmp_path / "fifo")], tmp_path / "out"))
    process = await begun()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (found := resource.prlimit(process, resource.RLIMIT_CPU))[0] != CPU_SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    os.kill(process, signal.SIGXCPU)  # which the kernel sends at the first of the two, and SIGKILL at the second

    with pytest.raises(PermanentFailure) as refused:
        await reading
    assert found[1] > found[0]
    assert refused.value.code == "tasks.document_too_slow"


async def test_a_process_that_is_killed_says_nothing_of_its_document(tmp_path: Path) -> None:
    """Where memory is short the system ends whom it likes."""
    os.mkfifo(tmp_path / "fifo")
    reading = asyncio.create_task(read([Job("fifo", DocumentType.TEXT, tmp_path / "fifo")], tmp_path / "out"))
    process = await begun()

    os.kill(process, signal.SIGKILL)

    with pytest.raises(Unavailable):
        await reading


async def begun() -> int:
    """The program that reads something, once it is there."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if found := confined():
                return found[0].pid
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        ("report.pdf", "application/pdf", "pdf"),
        ("report.txt", "application/pdf", "pdf"),
        ("notes.md", "text/plain", "markdown"),
        ("notes", "text/plain", "text"),
        ("page.txt", "text/html", "html"),
        ("table.tsv", "text/plain; charset=utf-8", "csv"),
    ],
)
def test_a_file_is_read_as_its_content_and_then_its_name_say(name: str, media_type: str, expected: str) -> None:
    assert type_of("d", {"name": name, "media_type": media_type}).value == expected


def test_a_file_of_no_type_that_is_read_asks_for_one() -> None:
    with pytest.raises(PermanentFailure, match="name it in `type`"):
        type_of("d", {"name": "film.mp4", "media_type": "video/mp4"})


def test_every_failure_has_a_code_of_its_own() -> None:
    assert len(FAILURES) == len({failure.meaning for failure in FAILURES.values()})
    assert all(code.startswith("tasks.") for code in FAILURES)
