"""JSON Schemas that callers write: taken within bounds, and held against values within bounds.

`validator.py` is what others use; `bounds.py` says beforehand how much work a schema can be, and `places.py` where in a
schema other schemas stand.
"""

from shared.json_schema.validator import JsonSchema, SchemaProblem, SchemaRefused

__all__ = ["JsonSchema", "SchemaProblem", "SchemaRefused"]
