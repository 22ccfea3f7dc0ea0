"""Why a dump is not taken. Each ends its task: it says the same however often it is tried."""

from services.tasks.confined.ends import Refused


class DumpRefused(Refused):
    """One of the reasons below."""


class DumpUnknown(DumpRefused):
    code = "tasks.dump_unknown"
    meaning = "The file is no dump that is read here, or not in the format that was named."


class DumpVersion(DumpRefused):
    code = "tasks.dump_version"
    meaning = "The dump is of a version that this installation does not read; `detail` names both."


class DumpSnapshot(DumpRefused):
    code = "tasks.dump_snapshot"
    meaning = "The file is an archive, as Qdrant's snapshots are, which only Qdrant reads."


class DumpBroken(DumpRefused):
    code = "tasks.dump_broken"
    meaning = "The dump is cut or damaged."


class DumpRecordInvalid(DumpRefused):
    code = "tasks.dump_record_invalid"
    meaning = "What stands where `detail` says is no record, or none that the collection takes."


class DumpDimension(DumpRefused):
    code = "tasks.dump_dimension"
    meaning = "Vectors of the dump disagree with each other, with its header or with the collection."


class DumpTooLarge(DumpRefused):
    code = "tasks.dump_too_large"
    meaning = "The dump, a line of it or what it unpacks to is larger than is read or written."


class DumpUnreadable(DumpRefused):
    code = "tasks.dump_unreadable"
    meaning = "The dump ended the process that read or wrote it."


class DumpUnnamed(DumpRefused):
    code = "tasks.dump_unnamed"
    meaning = "Neither the dump nor the input names a collection."


class MetricMismatch(DumpRefused):
    code = "tasks.metric_mismatch"
    meaning = "The collection exists, with another metric than the one asked for."


class ModelMismatch(DumpRefused):
    code = "tasks.model_mismatch"
    meaning = "The collection exists, and its texts were embedded with another model than those of the dump."


FAILURES = {failure.code: failure for failure in DumpRefused.__subclasses__()}
