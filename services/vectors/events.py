"""What vectors tells auth that was done, for the audit log."""

from shared.words import Word


class Done(Word):
    """To a collection, by its name, or to records of it."""

    CREATED = "collection.created"
    DELETED = "collection.deleted"
    RECORDS_DELETED = "record.deleted"
