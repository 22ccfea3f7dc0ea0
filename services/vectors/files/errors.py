"""What is refused of files, and why.

ServiceError
├── NotFound
│   └── FileNotFound              vectors.file_not_found
├── Conflict
│   ├── FileUnfinished            vectors.file_unfinished
│   └── UploadConflict            vectors.upload_conflict
├── PreconditionFailed
│   └── TusVersionUnsupported     vectors.tus_version_unsupported
└── RangeUnsatisfiable            vectors.range_unsatisfiable
"""

from shared.errors import Conflict, NotFound, PreconditionFailed, ServiceError


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
