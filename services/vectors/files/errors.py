"""What is refused of files, and why.

ServiceError
├── NotFound
│   └── FileNotFound              vectors.file_not_found
├── Conflict
│   ├── FileUnfinished            vectors.file_unfinished
│   └── UploadConflict            vectors.upload_conflict
├── Invalid
│   ├── FileEmpty                 vectors.file_empty
│   ├── FileUnreadable            vectors.file_unreadable
│   └── PurposeUnsupported        vectors.purpose_unsupported
├── PreconditionFailed
│   └── TusVersionUnsupported     vectors.tus_version_unsupported
└── RangeUnsatisfiable            vectors.range_unsatisfiable
"""

from shared.errors import Conflict, Invalid, NotFound, PreconditionFailed, ServiceError


class FileNotFound(NotFound):
    code = "vectors.file_not_found"
    meaning = "There is no such file, or it belongs to another tenant, or its upload has expired."

    def __init__(self, file_id: str) -> None:
        super().__init__(f"There is no file {file_id!r}.")


class FileUnfinished(Conflict):
    code = "vectors.file_unfinished"
    meaning = "The file is not whole yet: what is missing of it has to be uploaded before it is read."

    def __init__(self, received: int) -> None:
        super().__init__(f"The file is not whole yet: {received:,} bytes of it are here.")


class UploadConflict(Conflict):
    code = "vectors.upload_conflict"
    meaning = (
        "The piece does not begin where the upload ends, or another came at the same time: `HEAD` of the file tells "
        "the `Upload-Offset`. What came in one body, or is whole already, takes no pieces."
    )

    def __init__(self, received: int | None) -> None:
        """`received` is None where another is under way, and nobody knows how far."""
        where = "Another upload has put bytes there" if received is None else f"The next piece begins at {received}"
        super().__init__(f"{where}, if the file takes any: its Upload-Offset says where to go on.")


class FileEmpty(Invalid):
    code = "vectors.file_empty"
    meaning = "The file has no bytes, so there is nothing in it to be found."

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is empty.", at=("/file", "file_empty"))


class FileUnreadable(Invalid):
    code = "vectors.file_unreadable"
    meaning = "The file is of a type that nothing here reads, so it could be attached to no vector store."

    def __init__(self, name: str, media_type: str, readable: str) -> None:
        detail = f"{name!r} is {media_type} by its content. What is read here is {readable}."
        super().__init__(detail, at=("/file", "file_unreadable"))


class PurposeUnsupported(Invalid):
    code = "vectors.purpose_unsupported"
    meaning = "Files are kept here to be searched: `purpose` is `assistants` or `user_data`."

    def __init__(self, given: str, known: str) -> None:
        super().__init__(f"The purpose {given!r} is not served here; known are {known}.", at=("/purpose", "purpose"))


class RangeUnsatisfiable(ServiceError):
    status, code, title = 416, "vectors.range_unsatisfiable", "Range Not Satisfiable"
    meaning = "The file has no byte in the range that was asked for; `Content-Range` tells how many it has."

    def __init__(self, length: int) -> None:
        super().__init__(f"The file has {length:,} bytes.", headers={"Content-Range": f"bytes */{length}"})


class TusVersionUnsupported(PreconditionFailed):
    code = "vectors.tus_version_unsupported"
    meaning = "An upload in pieces names the version of the protocol in `Tus-Resumable`, and it is 1.0.0."

    def __init__(self) -> None:
        super().__init__("Uploads in pieces follow tus 1.0.0: send `Tus-Resumable: 1.0.0`.")
        self.headers["Tus-Version"] = "1.0.0"
