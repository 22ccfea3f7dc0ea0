"""What images are refused for.

Invalid     ModelWithoutEyes · ImageUnreadable · ImageElsewhere · TooManyImages
TooLarge    ImageTooLarge
"""

from typing import Final

from shared.errors import Invalid, ServiceError, TooLarge


class ModelWithoutEyes(Invalid):
    code = "chat.model_without_eyes"
    meaning = (
        "The model that is asked, or that the agent has, sees no images, so far as its provider or `LLM_MODELS` "
        "(`sees`) says; `param` names the first image, or what was said before and has one."
    )
    default_detail = "The model sees no images."

    def __init__(self, pointer: str | None = None) -> None:
        super().__init__(at=(pointer, "not_seen") if pointer else None)


class ImageUnreadable(Invalid):
    code = "chat.image_unreadable"
    meaning = "An image is empty, is not in base64, or by its content is none of PNG, JPEG, WebP and GIF."

    def __init__(self, pointer: str, why: str) -> None:
        super().__init__(f"The image {why}.", at=(pointer, "image_unreadable"))


class ImageElsewhere(Invalid):
    code = "chat.image_elsewhere"
    meaning = (
        "An image is named by an address or by the id of a file: nothing is fetched, so all of it is to stand in the "
        "request, as `data:image/png;base64,…`."
    )

    def __init__(self, pointer: str, what: str) -> None:
        super().__init__(
            f"{what} is not supported here: give all of the image, as data:image/png;base64,…",
            at=(pointer, "image_elsewhere"),
        )


class TooManyImages(Invalid):
    code = "chat.too_many_images"
    meaning = "A message shows more images than one may."

    def __init__(self, pointer: str, most: int) -> None:
        super().__init__(f"A message may show {most} images.", at=(pointer, "too_many_images"))


class ImageTooLarge(TooLarge):
    code = "chat.image_too_large"
    meaning = (
        "An image has more bytes than one may, or by its header more pixels; or all that the model would be shown "
        "together, what was shown before included, are too much."
    )

    def __init__(self, pointer: str, why: str) -> None:
        super().__init__(why, at=(pointer, "image_too_large"))


OF_IMAGES: Final[tuple[type[ServiceError], ...]] = (
    ImageUnreadable,
    ImageElsewhere,
    TooManyImages,
    ImageTooLarge,
)
"""Of those that a request brings."""
