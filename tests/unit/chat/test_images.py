"""What an image is, what it costs, and what is none."""

import time
from collections.abc import Callable

import pytest
from pydantic import TypeAdapter

from services.chat.images.domain import Eyes, Image, described, pieces
from services.chat.images.errors import ImageElsewhere, ImageTooLarge, ImageUnreadable, TooManyImages
from services.chat.images.headers import measured
from services.chat.images.parts import said_of
from services.chat.images.reading import MOST_BYTES, MOST_SHOWN_BYTES, Said, Shown, images_of, require_together
from shared.errors import ServiceError
from tests.fixtures.images import PNG_HEAD, data_url, gif, jpeg, png, webp

PNG = data_url(png())


def image(width: int = 2, height: int = 3, at: int = 0, size: int = 1, detail: str | None = None) -> Image:
    return Image("image/png", width, height, size, "", detail, at)  # type: ignore[arg-type]


def read(*urls: str | None, file_id: str | None = None) -> tuple[Image, ...]:
    said = Said("", [Shown(url, None, file_id, number) for number, url in enumerate(urls)])
    return images_of(said, "/messages/4/content", "image_url/url")


def refusal(*urls: str | None, file_id: str | None = None) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        read(*urls, file_id=file_id)
    return refused.value


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (png(700, 300), "image/png"),
        (gif(700, 300), "image/gif"),
        (jpeg(700, 300), "image/jpeg"),
        (jpeg(700, 300, before=b"\xff\xff\xe2\x00\x04\xff\xc0" + b"\xff\xc4\x00\x02"), "image/jpeg"),
        *[(webp(700, 300, kind), "image/webp") for kind in (b"VP8 ", b"VP8L", b"VP8X")],
    ],
)
def test_a_header_says_what_an_image_is(data: bytes, media_type: str) -> None:
    assert measured(data) == (media_type, 700, 300)


@pytest.mark.parametrize("make", [png, gif, jpeg, webp, lambda: webp(2, 3, b"VP8L"), lambda: webp(2, 3, b"VP8X")])
def test_a_header_that_is_cut_says_nothing(make: Callable[[], bytes]) -> None:
    """Nor does it break anything, wherever it is cut."""
    whole = make()
    found = {measured(whole[:length]) for length in range(len(whole) + 1)}

    assert found <= {None, measured(whole)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"BM" + bytes(60),
        PNG_HEAD + bytes(40),
        b"\xff\xd8\xff\xda" + bytes(40),
        b"RIFF\0\0\0\0WAVEfmt " + bytes(20),
        b"RIFF\0\0\0\0WEBPALPH" + bytes(20),
    ],
)
def test_all_else_is_no_image(data: bytes) -> None:
    assert measured(data) is None


def test_a_jpeg_of_nothing_but_segments_is_soon_given_up() -> None:
    segments = b"\xff\xfe\x00\x02" * (MOST_BYTES // 4 - 8)
    began_at = time.process_time()

    assert measured(jpeg(before=segments)) is None
    assert time.process_time() - began_at < 0.05


def test_an_image_is_what_its_content_says() -> None:
    [found] = read(data_url(jpeg(700, 300), "image/png"))

    assert (found.media_type, found.width, found.height, found.size) == ("image/jpeg", 700, 300, len(jpeg()))
    assert found.url == data_url(jpeg(700, 300), "image/jpeg")
    assert found.encoded not in repr(found)


@pytest.mark.parametrize(
    ("url", "error", "told"),
    [
        ("", ImageUnreadable, "is empty"),
        ("data:image/png;base64,", ImageUnreadable, "is empty"),
        ("x", ImageUnreadable, "does not begin"),
        ("data:image/png,%89PNG", ImageUnreadable, "does not begin"),
        (PNG + "=", ImageUnreadable, "is not in base64"),
        (f"{PNG[:-8]}\n{PNG[-8:]}", ImageUnreadable, "is not in base64"),
        ("data:image/png;base64,ÿÿÿÿ", ImageUnreadable, "is not in base64"),
        ("data:image/svg+xml;base64,PHN2Zy8+", ImageUnreadable, "is called image/svg+xml"),
        (data_url(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ImageUnreadable, "by its content none"),
        (data_url(b"%PDF-1.7"), ImageUnreadable, "by its content none"),
        (data_url(png(0, 3)), ImageUnreadable, "has no pixels"),
        (data_url(png(100_000, 100_000)), ImageTooLarge, "100,000 x 100,000 pixels"),
        (data_url(png(20_000, 1)), ImageTooLarge, "20,000 x 1 pixels"),
        (data_url(png(padding=MOST_BYTES)), ImageTooLarge, "may have 2 MiB"),
        (data_url(bytes(MOST_BYTES + 1)), ImageTooLarge, "may have 2 MiB"),
        ("https://example.com/cat.png", ImageElsewhere, "An address"),
        ("http://169.254.169.254/latest", ImageElsewhere, "An address"),
        ("file:///etc/passwd", ImageElsewhere, "An address"),
    ],
)
def test_what_is_no_image_is_refused_where_it_stands(url: str, error: type[ServiceError], told: str) -> None:
    refused = refusal(PNG, url)

    assert isinstance(refused, error)
    assert told in refused.detail
    assert [one.pointer for one in refused.errors] == ["/messages/4/content/1/image_url/url"]
    assert len(refused.detail) < 200


def test_one_as_long_as_may_be_is_one() -> None:
    padding = MOST_BYTES - len(png(padding=1)) + 1

    assert read(data_url(png(padding=padding)))[0].size == MOST_BYTES


def test_a_message_shows_so_many_and_no_more() -> None:
    assert len(read(*[PNG] * 16)) == 16
    refused = refusal(*[PNG] * 17)
    assert (type(refused), refused.errors[0].pointer) == (TooManyImages, "/messages/4/content/0")


def test_the_id_of_a_file_is_refused_by_name() -> None:
    refused = refusal(None, file_id="file-1")

    assert (type(refused), refused.errors[0].pointer) == (ImageElsewhere, "/messages/4/content/0/file_id")


def test_all_images_of_a_prompt_have_a_bound() -> None:
    require_together([image(size=MOST_SHOWN_BYTES // 2)] * 2, "/input")
    with pytest.raises(ImageTooLarge):
        require_together([image(size=MOST_SHOWN_BYTES // 2)] * 3, "/input")


@pytest.mark.parametrize(
    ("size", "detail", "tokens"),
    [
        ((1, 1), None, 255),
        ((512, 512), "auto", 255),
        ((513, 512), "high", 425),
        ((1024, 1024), "high", 765),
        ((2048, 4096), "high", 1105),
        ((4096, 8192), "low", 85),
        ((16_000, 1), "high", 85 + 4 * 170),
    ],
)
def test_an_image_costs_what_openai_says(size: tuple[int, int], detail: str | None, tokens: int) -> None:
    assert Eyes().tokens([image(*size, detail=detail)]) == tokens


def test_an_operator_says_otherwise() -> None:
    assert Eyes(576).tokens([image(), image(4000, 4000)]) == 1152


def test_texts_and_images_keep_their_order() -> None:
    parts = ["first", None, None, "", "second\n", None, "\nthird"]
    said = said_of(parts, TypeAdapter(str), lambda part: part, lambda part: Shown("x") if part is None else None)

    shown = [image(at=one.at) for one in said.images]

    assert (said.text, [one.part for one in said.images]) == ("first\nsecond\n\n\nthird", [1, 2, 5])
    found = [piece if isinstance(piece, str) else "*" for piece in pieces(said.text, shown)]
    assert found == ["first", "*", "*", "second\n", "*", "\nthird"]
    assert described(said.text, shown) == "first\n[image]\n[image]\nsecond\n\n[image]\n\nthird"


def test_an_image_may_come_first_and_stand_alone() -> None:
    assert list(pieces("\nx", [image(at=0)])) == [image(at=0), "\nx"]
    assert list(pieces("", [image(), image()])) == [image(), image()]
    assert described("", [image()]) == "[image]"
    assert described("x", []) == "x"
