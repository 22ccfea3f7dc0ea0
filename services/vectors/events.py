"""What vectors tells auth that was done, for the audit log."""

from shared.words import Word


class Done(Word):
    """To a collection, by its name, to records of it, to an alias, by its own name, or to a file, by its id."""

    CREATED = "collection.created"
    DELETED = "collection.deleted"
    RECORDS_DELETED = "record.deleted"
    ALIAS_CREATED = "alias.created"
    ALIAS_SWITCHED = "alias.switched"
    ALIAS_DELETED = "alias.deleted"
    FILE_CREATED = "file.created"
    FILE_DELETED = "file.deleted"
