"""Of a passage that is too long the model is given what speaks of the question, in any script."""

import time

import pytest

from services.chat.excerpts import excerpt
from services.chat.tokens import Vocabulary, estimate_tokens

# A sentence that is repeated, the one that answers, and the question.
ASKED = {
    "de": (
        "Das Gerät ist für den Gebrauch in trockenen Räumen bestimmt. ",
        "Die Garantiezeit beträgt siebenundzwanzig Monate ab dem Kauf. ",
        "Wie lange gilt die Garantie?",
    ),
    "zh": ("请将设备放置在干燥的地方使用。", "保修期为自购买之日起二十七个月。", "保修多长时间?"),
    "ja": (
        "本機は乾燥した場所でお使いください。",
        "保証期間はお買い上げの日から二十七か月です。",
        "保証はどのくらい続きますか?",
    ),
    "ar": (
        "يجب استخدام الجهاز في أماكن جافة. ",
        "تبلغ مدة الضمان سبعة وعشرين شهرًا من تاريخ الشراء. ",
        "ما هي مدة ضمان الجهاز؟",
    ),
    "hi": (
        "उपकरण को सूखी जगह पर रखें। ",
        "वारंटी की अवधि खरीद की तारीख से सत्ताईस महीने है। ",
        "वारंटी कितने समय की है?",
    ),
    "html": (
        '<p class="hint">Keep the device in a dry place.</p>\n',
        "<tr><td>Warranty</td><td>27 months from the day of purchase</td></tr>\n",
        "How long is the warranty?",
    ),
}


@pytest.mark.parametrize("language", ASKED)
@pytest.mark.parametrize("before", [0, 7, 40, 80])
def test_the_answering_sentence_is_kept_wherever_it_stands(language: str, before: int) -> None:
    filler, answer, question = ASKED[language]
    text = filler * before + answer + filler * (80 - before)

    kept = excerpt(text, question, 150)

    assert answer.strip() in kept
    assert estimate_tokens(kept) <= 150
    assert (kept.startswith("…"), kept.endswith("…")) == (before > 0, before < 80)


# Sentences without accents among some that have them; the last one answers.
MIXED = {
    "de": (
        "Das Wasser wird im Tank gesammelt und dann gefiltert. ",
        "Für größere Räume gibt es ein zweites Gerät. ",
        "Die Garantie des Falken endet nach 27 Monaten.",
        "Wie lange gilt die Garantie des Falken?",
    ),
    "en": (
        "The water is held in the tank and then filtered again. ",
        "José Muñoz and Zoë Brontë wrote of the café in Köln. ",
        "The warranty of the Falcon ends after 27 months.",
        "How long is the warranty of the Falcon?",
    ),
}


@pytest.mark.parametrize("language", MIXED)
@pytest.mark.parametrize("limit", [64, 128, 256, 512])
@pytest.mark.parametrize("accented", [1, 4])
def test_the_answering_sentence_is_kept_among_accented_ones(language: str, limit: int, accented: int) -> None:
    plain, accent, answer, question = MIXED[language]
    text = (plain * 5 + accent) * 12 + accent * accented + answer

    kept = excerpt(text, question, limit)

    assert kept.endswith(answer)
    assert limit / 2 < estimate_tokens(kept) <= limit


def test_what_fits_is_not_touched() -> None:
    assert excerpt("  Short\nenough. ", "What?", 20) == "  Short\nenough. "


def test_what_is_kept_stands_so_in_the_passage() -> None:
    text = "\n\n".join(f"Section {number}. It costs {number} euros.\nAsk first." for number in range(100))

    kept = excerpt(text, "What costs 42 euros?", 60)

    assert kept.strip("…") in text
    assert "It costs 42 euros." in kept


def test_nothing_in_common_leaves_the_beginning() -> None:
    kept = excerpt("One after the other. " * 100, "保修", 40)

    assert kept.startswith("One after the other.")
    assert kept.endswith("…")


@pytest.mark.parametrize(
    "text", ["5" * 3000, "字" * 3000, "x" * 3000, "a\n" * 1500, "👩‍👩‍👧‍👦" * 300, ". " * 2000, "\n" * 3000]
)
@pytest.mark.parametrize("vocabulary", Vocabulary)
@pytest.mark.parametrize("limit", [0, 1, 9, 32, 100])
def test_anything_is_cut_to_what_fits(text: str, vocabulary: Vocabulary, limit: int) -> None:
    assert estimate_tokens(excerpt(text, "字 x 5", limit, vocabulary), vocabulary) <= limit


def test_a_sentence_without_an_end_is_cut_at_words() -> None:
    kept = excerpt("word " * 400 + "warranty lasts 27 months " + "word " * 400, "How long is the warranty?", 60)

    assert "warranty lasts 27 months" in kept
    assert set(kept.strip("…").split()) <= {"word", "warranty", "lasts", "27", "months"}


def test_the_longest_text_of_a_record_is_cut_soon() -> None:
    text = "".join(chr(0x4E00 + at * 7919 % 20_000) for at in range(16_384))
    started_at = time.process_time()

    excerpt(text, text[:2000], 256)

    assert time.process_time() - started_at < 1.0  # of the processor, which others may have meanwhile
