"""Tools made from the operations of an OpenAPI document."""
