"""Why a request to a user's address came to nothing; each sentence may be shown, and none holds a secret."""


class OutboundError(Exception):
    """The root. `detail` is a sentence for users: no header, no query, no address that a name has."""

    detail = "The request failed."

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.detail
        super().__init__(self.detail)


class RequestRefused(OutboundError):
    """It was not sent: the URL or a header is none that may be asked for."""

    detail = "The URL is none that may be asked for."


class AddressRefused(RequestRefused):
    """It was not sent: what the host name stands for is not public, and the operator does not allow it."""

    detail = "The host is at an address that may not be asked."


class HostUnknown(OutboundError):
    detail = "The host name is not known."


class NamesBusy(OutboundError):
    """It was not sent: the owner's other host names are still being looked up."""

    detail = "Too many host names that do not resolve are being looked up."


class NotReached(OutboundError):
    """No connection, or no TLS."""

    detail = "The server could not be reached."


class OutboundTimeout(OutboundError):
    detail = "The server did not answer in time."


class AnswerBroken(OutboundError):
    """It broke off, or is not HTTP, or is compressed in a way that was not asked for."""

    detail = "The server gave a broken answer."
