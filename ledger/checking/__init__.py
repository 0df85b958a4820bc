"""Signed statements checked in bulk: lines of JSON in, digests, entries and refusals out.

A light room, since it runs in processes of its own, one a core: neither web3 nor SQL nor pydantic is loaded there.
What it accepts and refuses is what ``ledger.statements`` accepts and refuses; a line of the usual form takes a shorter
way to the same answer.
"""

from ledger.checking.codec import REGISTRATION
from ledger.checking.lines import MAX_LINE_BYTES, LineChecker
from ledger.checking.records import Checked, Record, Registered, Rejected, decode_records, encode_records

__all__ = [
    "MAX_LINE_BYTES",
    "REGISTRATION",
    "Checked",
    "LineChecker",
    "Record",
    "Registered",
    "Rejected",
    "decode_records",
    "encode_records",
]
