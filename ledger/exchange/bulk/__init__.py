"""Signed statements by the thousand: one stream of lines in, one answer a line out (docs/spec/bulk.md).

Lines are cut into blocks; processes of their own check signatures, a block each (`CheckingPool`); the log's writer asks
the rules for a batch of blocks at once (`Admission`) and appends what may enter (`BulkAppender`); answers go out in the
order of the lines (`BulkStream`).
"""

from ledger.exchange.bulk.answers import Answers, Appended, LineAnswer, Refused, Taken, Totals
from ledger.exchange.bulk.intake import BulkIntake, BulkStream

__all__ = ["Answers", "Appended", "BulkIntake", "BulkStream", "LineAnswer", "Refused", "Taken", "Totals"]
