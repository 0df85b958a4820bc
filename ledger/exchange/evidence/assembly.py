"""Evidence: all that is needed to check one statement without asking anybody, put together once it is final."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, cast

from ledger.canonical import JsonValue
from ledger.content import parse_chunks, parse_manifest
from ledger.errors import ConflictError, NotFoundError
from ledger.evidence import Content, Evidence, HistoryRecord, LogProof, build_content, upgrade_evidence
from ledger.exchange.evidence.proving import EventProver, Pins
from ledger.exchange.parts import Parts
from ledger.log import Checkpoint, SignedNote
from ledger.store.rows import CheckpointRow, HistoryRow, StatementRow, StatementState
from ledger.types import Bytes32

__all__ = ["EvidenceAssembly", "History", "sign_checkpoint"]

_RETRY_AFTER_S: Final = 1.0
_MOST_KEPT: Final = 4


class EvidenceAssembly:
    """Assembles the evidence of statements in this gateway's log."""

    def __init__(self, parts: Parts, prover: EventProver) -> None:
        self._parts = parts
        self._prover = prover
        self._history = History(parts)

    def assemble(self, digest: Bytes32, pins: Pins, *, with_chunks: bool = True) -> Evidence:
        """The evidence of a statement, its blocks placed under the auditor's pins.

        Raises:
            NotFoundError: no such statement.
            ConflictError: it is not final yet (``not-final``), or its blocks lie outside the pins (``outside-range``).
            UnavailableError: the chain does not answer.
        """
        row = self._parts.store.statements.find(digest)
        if row is None or row.log_index is None:
            raise NotFoundError(f"no statement {digest} is known here")
        if row.state is not StatementState.FINAL or row.anchor is None:
            raise ConflictError(
                f"the statement is {row.state.value}, not final yet: ask again soon",
                code="not-final",
                retry_after_s=_RETRY_AFTER_S,
            )
        return self._assemble(row, row.anchor, pins, with_chunks=with_chunks)

    def _assemble(self, row: StatementRow, anchor: CheckpointRow, pins: Pins, *, with_chunks: bool) -> Evidence:
        is_registration = row.type == "DatasetRegistration"
        return Evidence(
            type_name=row.type,
            message=dict(row.message),
            signature=row.signature,
            cosignature=row.cosignature,
            log=self._prove_entry(cast("int", row.log_index), anchor),
            anchor=self._prover.prove(anchor, pins),
            history=self._history.until(anchor.history_head),
            effect=None if row.effect is None else self._prover.prove(row.effect, pins),
            content=self._content(row, with_chunks=with_chunks) if is_registration else None,
        )

    def link_later(self, evidence: Evidence, pins: Pins) -> Evidence:
        """The evidence with a link to the newest checkpoint within the pins; as it is where none is newer than its own.

        Which checkpoint first covered the entry stays as shown.

        Raises:
            UnavailableError: the chain does not answer.
        """
        size = Checkpoint.parse(SignedNote.parse(evidence.log.checkpoint).text).size
        until = max(pins.final if pin.last is None else min(pin.last, pins.final) for pin in pins.ranges)
        last = self._parts.store.chain.last_checkpoint(self._parts.log, until)
        if last is None or last.size <= size:
            return evidence
        return upgrade_evidence(
            evidence,
            checkpoint=sign_checkpoint(self._parts, last),
            proof=self._parts.sequencer.reader.prove_consistency(size, last.size),
            anchor=self._prover.prove(last, pins),
            history=self._history.until(last.history_head),
        )

    def _prove_entry(self, index: int, anchor: CheckpointRow) -> LogProof:
        proof = self._parts.sequencer.reader.prove_inclusion(index, anchor.size)
        return LogProof(index, tuple(proof), sign_checkpoint(self._parts, anchor))

    def _content(self, row: StatementRow, *, with_chunks: bool) -> Content | None:
        store = self._parts.store
        opening = store.contents.find_opening(row.digest)
        content = None if opening is None else store.contents.find(opening.content_root)
        if opening is None or content is None:
            return None
        digest = Bytes32.parse(str(row.message["metadataHash"]))
        metadata = store.documents.find_stated([digest], row.participant, kind="metadata").get(digest)
        manifest = parse_manifest(content.manifest)
        chunks = content.chunks if with_chunks else None
        return build_content(
            opening.version_salt,
            manifest,
            chunks=None if chunks is None else parse_chunks(chunks, manifest),
            metadata_salt=None if metadata is None else metadata.salt,
            metadata=None if metadata is None else cast("dict[str, JsonValue]", metadata.document),
        )


def sign_checkpoint(parts: Parts, anchor: CheckpointRow) -> bytes:
    """The note over a checkpoint as it stands on chain, signed by the log. Signing is deterministic."""
    return parts.log_signer.sign(Checkpoint(parts.config.origin, anchor.size, anchor.root).text).to_bytes()


class History:
    """The registry's history as evidence carries it; keeps what was read last, for evidence asks for it again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._kept: OrderedDict[Bytes32, tuple[HistoryRecord, ...]] = OrderedDict()
        self._turn = threading.Lock()

    def until(self, head: Bytes32) -> tuple[HistoryRecord, ...]:
        """All records up to the one with this head. Raises: NotFoundError: it is not indexed here."""
        with self._turn:
            found = self._kept.get(head)
        if found is None:
            found = tuple(map(_to_record, self._parts.store.chain.history_until(head)))
        with self._turn:
            self._kept[head] = found
            self._kept.move_to_end(head)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found


def _to_record(row: HistoryRow) -> HistoryRecord:
    return HistoryRecord(int(row.kind), row.participant, row.detail, row.block, int(row.time.timestamp()))
