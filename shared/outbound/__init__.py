"""Requests to addresses that users write: whoever they are, they reach nothing that is not public.

A user who names an address has this process ask it, from inside the operator's network. So the name is resolved here,
once; every address it has must be public or allowed by the operator; and the connection is made to one of those very
addresses. Redirects are not followed, and what is read of an answer is bounded in time and size.
"""

from shared.outbound.addresses import Allowed, AllowedText, is_public
from shared.outbound.answer import Answer, Content
from shared.outbound.client import OutboundClient, open_outbound
from shared.outbound.failures import (
    AddressRefused,
    AnswerBroken,
    HostUnknown,
    NamesBusy,
    NotReached,
    OutboundError,
    OutboundTimeout,
    RequestRefused,
)
from shared.outbound.names import Owner, Resolve
from shared.outbound.request import LONGEST_URL, OutboundRequest, require_header, require_url

__all__ = [
    "LONGEST_URL",
    "AddressRefused",
    "Allowed",
    "AllowedText",
    "Answer",
    "AnswerBroken",
    "Content",
    "HostUnknown",
    "NamesBusy",
    "NotReached",
    "OutboundClient",
    "OutboundError",
    "OutboundRequest",
    "OutboundTimeout",
    "Owner",
    "RequestRefused",
    "Resolve",
    "is_public",
    "open_outbound",
    "require_header",
    "require_url",
]
