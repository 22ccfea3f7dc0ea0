"""What every model is made of: bases that refuse the unknown, text that every store keeps, ids, times."""

from shared.schemas.ids import Id, new_id
from shared.schemas.models import (
    LargeModel,
    Moment,
    RequestModel,
    ResponseModel,
    SecretModel,
    SecretText,
    Text,
    UtcDatetime,
    rfc3339,
)
from shared.schemas.paths import PathText
from shared.schemas.scalars import Scalar, scalar

__all__ = [
    "Id",
    "LargeModel",
    "Moment",
    "PathText",
    "RequestModel",
    "ResponseModel",
    "Scalar",
    "SecretModel",
    "SecretText",
    "Text",
    "UtcDatetime",
    "new_id",
    "rfc3339",
    "scalar",
]
