"""Makes an image of the address that holds all of it."""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.chat.images.domain import Detail, Image
from services.chat.images.errors import ImageElsewhere, ImageTooLarge, ImageUnreadable, TooManyImages
from services.chat.images.headers import measured

MOST_IMAGES: Final = 16
"""That one message shows."""
MOST_BYTES: Final = 2 * 2**20
"""Of one image: in base64 two thirds of what a run may keep (`RUN_MIB`)."""
MOST_SHOWN_BYTES: Final = 6 * 2**20
"""Of all images of one prompt: in base64 as much as the gateway lets through in one request."""
_MOST_PIXELS: Final = 50_000_000  # which are 200 MB where they are decoded
_LONGEST_SIDE: Final = 16_384
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]{0,15}://", re.IGNORECASE)
_HEAD: Final = re.compile(r"data:([a-z0-9.+/-]{0,64});base64,", re.IGNORECASE)
_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/jpg", "image/webp", "image/gif"})
_KNOWN: Final = "PNG, JPEG, WebP and GIF are taken"


@dataclass(frozen=True, slots=True)
class Shown:
    """An image as its caller gives it: the number of its part, and behind how many characters of the text it stands."""

    url: str | None
    detail: Detail | None = None
    file_id: str | None = None
    part: int = 0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says, and shows."""

    text: str
    images: Sequence[Shown] = ()


def images_of(said: Said, content: str, member: str) -> tuple[Image, ...]:
    """Those of a message whose `content` this pointer leads to; in its parts an image is the `member`.

    Raises TooManyImages, and what is wrong with the first that is not one.
    """
    if len(said.images) > MOST_IMAGES:
        raise TooManyImages(pointer_of(said, content), MOST_IMAGES)
    return tuple(_image(one, f"{content}/{one.part}", member) for one in said.images)


def pointer_of(said: Said, content: str) -> str:
    """Where the part of the first image stands."""
    return f"{content}/{said.images[0].part}"


def require_together(images: Iterable[Image], pointer: str) -> None:
    """Raises ImageTooLarge for more than a model is shown at once."""
    if sum(image.size for image in images) > MOST_SHOWN_BYTES:
        raise ImageTooLarge(pointer, f"The images of one prompt may have {_mib(MOST_SHOWN_BYTES)} together.")


def _image(shown: Shown, part: str, member: str) -> Image:
    place = f"{part}/{member}"
    if shown.file_id is not None:
        raise ImageElsewhere(f"{part}/file_id", "The id of a file")
    if shown.url is None:
        raise ImageUnreadable(place, "is missing")
    encoded = _encoded(shown.url, place)
    data = _decoded(encoded, place)
    found = measured(data)
    if found is None:
        raise ImageUnreadable(place, f"is by its content none that is known here: {_KNOWN}")
    media_type, width, height = found
    if not (width and height):
        raise ImageUnreadable(place, "has no pixels")
    if max(width, height) > _LONGEST_SIDE or width * height > _MOST_PIXELS:
        raise ImageTooLarge(place, f"The image has {width:,} x {height:,} pixels; it may have {_MOST_PIXELS:,}.")
    return Image(media_type, width, height, len(data), encoded, shown.detail, shown.at)


def _encoded(url: str, place: str) -> str:
    """What stands behind the head of the address."""
    if not url:
        raise ImageUnreadable(place, "is empty")
    if _ELSEWHERE.match(url):
        raise ImageElsewhere(place, "An address to fetch an image from")
    head = _HEAD.match(url)
    if not head:
        raise ImageUnreadable(place, "does not begin as data:image/png;base64,…")
    if head[1].lower() not in _TYPES:
        raise ImageUnreadable(place, f"is called {head[1][:32] or 'nothing'}: {_KNOWN}")
    return url[head.end() :]


def _decoded(encoded: str, place: str) -> bytes:
    if not encoded:
        raise ImageUnreadable(place, "is empty")
    if len(encoded) // 4 * 3 > MOST_BYTES + 2:
        raise ImageTooLarge(place, f"An image may have {_mib(MOST_BYTES)}.")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:  # the latter of what is not ASCII
        raise ImageUnreadable(place, "is not in base64") from error
    if len(data) > MOST_BYTES:
        raise ImageTooLarge(place, f"An image may have {_mib(MOST_BYTES)}.")
    return data


def _mib(size: int) -> str:
    return f"{size // 2**20} MiB"
