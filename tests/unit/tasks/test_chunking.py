"""Chunks: what they hold together, and how large they are."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.tasks.documents.blocks import Block, BlockKind
from services.tasks.documents.chunking import Chunk, Chunker
from services.tasks.documents.measuring import measured

SENTENCE = "Refunds are paid within fourteen days. "


async def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


async def chunks(blocks: Sequence[Block], most: int, overlap: int = 0) -> list[Chunk]:
    chunker = Chunker(most, overlap, glue_counts=True)
    found = [chunk for one in await measured(blocks, characters, most) for chunk in chunker.add(one)]
    return [*found, *chunker.end()]


def heading(text: str, level: int = 1) -> Block:
    return Block(BlockKind.HEADING, text, level)


def paragraph(text: str, page: int | None = None) -> Block:
    return Block(BlockKind.PARAGRAPH, text, page=page)


async def test_small_paragraphs_stand_together() -> None:
    assert [chunk.text for chunk in await chunks([paragraph("One."), paragraph("Two.")], 100)] == ["One.\n\nTwo."]


async def test_a_heading_stays_with_what_follows_it() -> None:
    blocks = [paragraph(SENTENCE * 2), heading("Refunds"), paragraph(SENTENCE)]

    assert [chunk.text for chunk in await chunks(blocks, 100)] == [
        (SENTENCE * 2).strip(),
        f"Refunds\n\n{SENTENCE.strip()}",
    ]


async def test_no_chunk_holds_parts_of_two_sections_and_each_knows_its_titles() -> None:
    blocks = [
        *(heading("Guide"), heading("Refunds", 2), paragraph("a")),
        *(heading("Details", 3), paragraph("b")),
        *(heading("Returns", 2), paragraph("c")),
        *(heading("Empty", 2), heading("Last", 1)),
    ]

    assert [(chunk.text, chunk.headings) for chunk in await chunks(blocks, 200)] == [
        ("Guide\n\nRefunds\n\na", ("Guide", "Refunds")),
        ("Details\n\nb", ("Guide", "Refunds", "Details")),
        ("Returns\n\nc", ("Guide", "Returns")),
        ("Empty", ("Guide", "Empty")),
        ("Last", ("Last",)),
    ]


async def test_a_paragraph_that_fits_is_not_cut_where_half_a_chunk_is_full() -> None:
    found = await chunks([paragraph(SENTENCE * 2), paragraph(SENTENCE * 2)], 120)

    assert [chunk.text for chunk in found] == [(SENTENCE * 2).strip()] * 2


async def test_a_long_paragraph_is_cut_at_sentences() -> None:
    found = await chunks([paragraph(SENTENCE * 9)], 100)

    assert all(chunk.text.endswith("days.") for chunk in found)
    assert sum(chunk.text.count("Refunds") for chunk in found) == 9


async def test_a_row_is_not_cut_from_its_columns() -> None:
    rows = [Block(BlockKind.ROW, f"name: customer number {n}; city: Salzburg") for n in range(9)]

    found = await chunks(rows, 100)

    assert len(found) == 5
    assert all(
        line.startswith("name: ") and line.endswith("Salzburg") for one in found for line in one.text.split("\n")
    )


async def test_code_has_its_fence_in_every_chunk() -> None:
    lines = [f"line_{n} = compute(ny={n})" for n in range(20)]

    found = await chunks([Block(BlockKind.CODE, "\n".join(lines), language="python")], 120)

    assert len(found) > 3
    assert all(one.text.startswith("```python\n") and one.text.endswith("\n```") for one in found)
    assert [line for one in found for line in one.text.split("\n")[1:-1]] == lines


async def test_code_that_holds_a_fence_has_a_longer_one() -> None:
    [chunk] = await chunks([Block(BlockKind.CODE, "```\nx\n```")], 100)

    assert chunk.text == "````\n```\nx\n```\n````"


async def test_neighbours_of_a_section_share_whole_sentences() -> None:
    found = await chunks([heading("A"), paragraph(SENTENCE * 6), heading("B"), paragraph("End.")], 100, overlap=40)

    assert all(after.text.startswith(SENTENCE.strip()) for after in found[1:-1])
    assert sum(chunk.text.count("Refunds") for chunk in found) > 6
    assert found[-1].text == "B\n\nEnd."


async def test_a_chunk_says_the_page_on_which_it_begins() -> None:
    found = await chunks([paragraph(SENTENCE * 2, page=1), paragraph(SENTENCE * 2, page=2)], 90)

    assert [chunk.page for chunk in found] == [1, 2]


BLOCKS = st.lists(
    st.builds(
        Block,
        kind=st.sampled_from(list(BlockKind)),
        text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=400),
        level=st.integers(1, 6),
    ),
    max_size=12,
)


@settings(max_examples=200)
@given(blocks=BLOCKS, most=st.integers(100, 300), share=st.integers(0, 50))
async def test_no_chunk_is_too_large_and_no_word_is_lost(blocks: list[Block], most: int, share: int) -> None:
    found = await chunks(blocks, most, most * share // 100)

    said = "".join("".join(chunk.text.split()) for chunk in found)
    assert all(0 < len(chunk.text) <= most for chunk in found)
    assert share or all(set("".join(block.text.split())) <= set(said) for block in blocks)
    assert share or len(said) >= sum(len("".join(block.text.split())) for block in blocks)


@pytest.mark.parametrize("text", ["x" * 1000, "語" * 1000, "🙂" * 500, "a\n" * 500])
async def test_what_has_no_sentences_is_cut_nevertheless(text: str) -> None:
    found = await chunks([paragraph(text)], 100)

    assert all(len(chunk.text) <= 100 for chunk in found)
    assert "".join("".join(chunk.text.split()) for chunk in found) == "".join(text.split())


async def test_code_is_looked_through_once_however_many_chunks_it_has() -> None:
    """Each time takes as long as the code is; for a megabyte in ten thousand chunks that were minutes."""
    code = Block(BlockKind.CODE, "x = 1\n" * (2**20 // 6), language="python")
    began = time.process_time()

    found = await chunks([code], 100)

    assert time.process_time() - began < 20
    assert len(found) > 10_000
    assert all(chunk.text.startswith("```python\nx") for chunk in found)
