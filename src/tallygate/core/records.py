"""What a frame of a journal holds: the entry of a request, or a report of uses elsewhere."""

import msgspec

from tallygate.core.entry import Entry
from tallygate.core.usage_report import UsageReport

Record = Entry | UsageReport

_entry = msgspec.msgpack.Decoder(Entry).decode
_report = msgspec.msgpack.Decoder(UsageReport).decode


def read_record(payload: bytes) -> Record:
    """An entry is an array, a report a map. msgspec.MsgspecError: it is neither."""
    is_map = payload[:1] and payload[0] >> 4 == 8
    return _report(payload) if is_map else _entry(payload)


def rows_of(record: Record) -> int:
    """How many rows settling it writes, at least one: what it weighs in a transaction."""
    return (len(record.uses) or 1) if isinstance(record, UsageReport) else 1
