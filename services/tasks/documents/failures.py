"""Why a document cannot be read. Each is the end of its task: it says the same however often it is tried."""

from services.tasks.confined.ends import Refused


class DocumentFailure(Refused):
    """One of the reasons below."""


class DocumentEncrypted(DocumentFailure):
    code = "tasks.document_encrypted"
    meaning = "The document is encrypted: it opens with a password only."


class DocumentBroken(DocumentFailure):
    code = "tasks.document_broken"
    meaning = "The document is damaged, or not what its type says."


class WrongType(DocumentFailure):
    code = "tasks.document_type_wrong"
    meaning = "The document is not of the type that it was said to be, or that its name says."


class TypeUnknown(DocumentFailure):
    code = "tasks.document_type_unknown"
    meaning = "Nothing says of which type the file is that can be read; name it in `type`."


class TooLarge(DocumentFailure):
    code = "tasks.document_too_large"
    meaning = "The document holds more than is read, unpacked or as text."


class TooManyPages(DocumentFailure):
    code = "tasks.document_too_many_pages"
    meaning = "The document has more pages than are read."


class TooDeep(DocumentFailure):
    code = "tasks.document_too_deep"
    meaning = "The document nests its parts deeper than is read."


class WithoutText(DocumentFailure):
    code = "tasks.document_without_text"
    meaning = "The document has pages and no text, as a scan: what is on pictures is not read."


class TooSlow(DocumentFailure):
    code = "tasks.document_too_slow"
    meaning = "Reading the document takes longer than is allowed."


class Crashed(DocumentFailure):
    code = "tasks.document_crashed"
    meaning = "The document ended the process that read it."


FAILURES = {failure.code: failure for failure in DocumentFailure.__subclasses__()}
