"""Long texts in windows: nothing left out, cut where a reader would, and averaged by weight."""

import numpy as np
import pytest

from services.vectors.adapters.embeddings_local import LocalEmbedder
from services.vectors.adapters.embeddings_windows import averaged, estimated_tokens, windows_of
from services.vectors.domain import Embedded

SAMPLES = {
    "english": "Knead the dough, let it rise for two hours and bake the bread until it is golden. ",
    "german": "Der Vertrag kann mit einer Frist von drei Monaten zum Ende des Kalenderjahres gekündigt werden. ",
    "chinese": "合同可以在日历年末提前三个月通知终止，双方应当妥善保存相关文件。",  # noqa: RUF001
    "thai": "สัญญาสามารถยกเลิกได้โดยแจ้งล่วงหน้าสามเดือนก่อนสิ้นปีปฏิทิน",
    "russian": "Договор может быть расторгнут с уведомлением за три месяца до конца года. ",  # noqa: RUF001
    "code": "for (int i=0;i<n;i++){x[i]+=a[i]*b[i]>>2;} // 0x7fff\n",
    "digits": "3.14159265358979 2.71828182845904 1,618,033 ",
    "hexadecimal": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 ",
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_nothing_is_left_out_and_no_window_is_too_long(sample: str) -> None:
    text = SAMPLES[sample] * 60

    windows = windows_of(text, estimated_tokens, 200)

    assert "".join(windows) == text
    assert len(windows) > 2
    assert max(map(estimated_tokens, windows)) <= 200
    assert min(map(estimated_tokens, windows)) > 200 / 5


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_model_whose_vocabulary_is_not_here_is_not_given_too_much(sample: str) -> None:
    text = SAMPLES[sample] * 20
    embedder = LocalEmbedder(threads=1, timeout_seconds=60, cached=0)

    assert embedder.tokens_of(text, is_query=False) - 4 <= estimated_tokens(text)  # less the prefix


def test_a_text_is_cut_behind_a_sentence_or_a_word() -> None:
    sentences = "One two three four. Five six seven eight. "
    assert windows_of(sentences, len, 30) == ["One two three four. ", "Five six seven eight. "]
    assert windows_of("word " * 20, len, 60) == ["word " * 10, "word " * 10]
    assert windows_of("x" * 100, len, 60) == ["x" * 50, "x" * 50]


def test_windows_count_by_their_tokens_and_keep_their_length() -> None:
    east, north = np.array([2, 0], dtype=np.float32), np.array([0, 2], dtype=np.float32)

    found = averaged([Embedded(east, 30), Embedded(north, 10)])

    assert found.tokens == 40
    assert found.vector.tolist() == pytest.approx([6 / 10**0.5, 2 / 10**0.5])
