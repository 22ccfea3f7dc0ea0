"""An image of a message, and how a model sees it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Detail = Literal["auto", "low", "high"]
PLACEHOLDER: Final = "[image]"
"""What is told of an image where it cannot be shown."""
_FEWEST_TOKENS: Final = 85
_TILE_TOKENS: Final = 170
_TILE: Final = 512
_LONGER_SIDE, _SHORTER_SIDE = 2_048, 768


@dataclass(frozen=True, slots=True)
class Image:
    """What it is by its content, in pixels and bytes; `encoded` is all of it, in base64.

    `at` says behind how many characters of its message's text it stands.
    """

    media_type: str
    width: int
    height: int
    size: int
    encoded: str = field(repr=False)
    detail: Detail | None = None
    at: int = 0

    @property
    def url(self) -> str:
        """All of it as an address."""
        return f"data:{self.media_type};base64,{self.encoded}"

    @property
    def told(self) -> dict[str, Any]:
        """What is told of it where it is not shown."""
        members = {"media_type": self.media_type, "width": self.width, "height": self.height, "size": self.size}
        return members | {"detail": self.detail, "at": self.at}


@dataclass(frozen=True, slots=True)
class Eyes:
    """How a model sees: an image is `image_tokens` of its window, or where nobody says as many as OpenAI's rule has it.

    That fits it into a square of 2,048 pixels, then its shorter side to 768, and counts tiles of 512 (170 each, and 85;
    with little detail 85 alone). `auto` counts as all the detail there is.
    """

    image_tokens: int | None = None

    def tokens(self, images: Sequence[Image]) -> int:
        """About how many they are in a prompt, and never none."""
        return sum(self.image_tokens or _tiled(image) for image in images)


def _tiled(image: Image) -> int:
    if image.detail == "low":
        return _FEWEST_TOKENS
    scale = min(1.0, _LONGER_SIDE / max(image.width, image.height))
    scale *= min(1.0, _SHORTER_SIDE / (scale * min(image.width, image.height)))
    across, down = (-int(-side * scale // _TILE) for side in (image.width, image.height))
    return _FEWEST_TOKENS + _TILE_TOKENS * across * down


def pieces(text: str, images: Sequence[Image]) -> Iterator[str | Image]:
    """What a message says and shows, in order. A line ends where an image stands, so its end is no part of a piece."""
    begin = 0
    for image in images:
        if piece := _piece(text, begin, image.at):
            yield piece
        yield image
        begin = image.at
    if piece := _piece(text, begin, len(text)):
        yield piece


def _piece(text: str, begin: int, end: int) -> str:
    return text[begin + 1 if begin else 0 : end]


def described(text: str, images: Sequence[Image]) -> str:
    """The text, with a word in the place of each image."""
    if not images:
        return text
    return "\n".join(piece if isinstance(piece, str) else PLACEHOLDER for piece in pieces(text, images))
