"""Estimates err on the high side, and not far, in any script."""

import pytest

from services.chat.tokens import Vocabulary, estimate_tokens

# Each text as the tokenizers of SmolLM2 and of XLM-R count it.
MEASURED = [
    ("The reading room opens at nine on weekdays, and whoever wants to use the archive has to book a seat.", 23, 29),
    ("Außerdem gelten für öffentliche Gebäude besondere Vorschriften über Fluchtwege.", 35, 12),
    ("Rechtsschutzversicherungsgesellschaften Wärmedämmverbundsystem Trinkwasserschutzgebietsverordnung", 35, 20),
    ("Thư viện mở cửa lúc chín giờ các ngày trong tuần; ai muốn sử dụng kho lưu trữ phải đặt chỗ.", 69, 24),
    ("阅览室工作日九点开放,想使用档案的人必须提前两天预约座位。", 53, 20),
    ("閲覧室は平日の九時に開きます。資料を利用したい方は二日前までに席を予約してください。", 73, 23),
    ("열람실은 평일 아홉 시에 문을 엽니다. 자료를 이용하려는 사람은 예약해야 합니다.", 90, 25),
    ("تفتح قاعة القراءة أبوابها في التاسعة صباحًا أيام الأسبوع", 53, 16),
    ("वाचनालय सप्ताह के दिनों में सुबह नौ बजे खुलता है", 55, 12),
    ("ห้องอ่านหนังสือเปิดเวลาเก้าโมงเช้าในวันธรรมดา", 83, 12),
    ("Читальный зал открывается в девять часов по будням", 41, 13),
    ("def f(x):\n    return {k: v for k, v in x.items() if v is not None}\n", 27, 30),
    ("3.14159 26535 89793 23846 26433 83279 50288 41971 69399 37510", 61, 24),
]


@pytest.mark.parametrize(("text", "english", "multilingual"), MEASURED)
def test_an_estimate_is_close_to_what_a_model_counts(text: str, english: int, multilingual: int) -> None:
    assert 0.9 * english <= estimate_tokens(text) <= 1.5 * english
    assert 0.9 * multilingual <= estimate_tokens(text, Vocabulary.MULTILINGUAL) <= 2.6 * multilingual


def test_nothing_is_no_token() -> None:
    assert estimate_tokens("") == 0


def test_every_character_costs_something() -> None:
    text = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000, 7))))

    assert estimate_tokens(text, Vocabulary.MULTILINGUAL) > len(text) / 4
