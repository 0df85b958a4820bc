"""Evidence: all that is needed to check one statement without asking anybody, put together once it is final."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast

from ledger.canonical import JsonValue
from ledger.content import parse_chunks, parse_manifest
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.evidence import (
    ChainProof,
    Content,
    Evidence,
    HistoryRecord,
    LogProof,
    build_content,
    prove_block,
    prove_event,
)
from ledger.exchange.parts import Parts
from ledger.log import Checkpoint
from ledger.store.rows import CheckpointRow, StatementRow, StatementState
from ledger.types import Bytes32

__all__ = ["EvidenceAssembly"]

_RETRY_AFTER_S = 1.0


class EvidenceAssembly:
    """Assembles evidence; remembers the hashes of final blocks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turn = threading.Lock()
        self._hashes: list[Bytes32] = []

    def assemble(self, digest: Bytes32, *, first: int, last: int | None, with_chunks: bool) -> bytes:
        """The evidence file of a statement, its blocks placed under the pinned range ``first`` to ``last``.

        Raises:
            NotFoundError: no such statement.
            ConflictError: it is not final yet (``not-final``), or its blocks lie outside the range (``outside-range``).
            MalformedError: no such range.
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
        final = self._parts.edge.final_head().number
        pinned = (first, final if last is None else last)
        if not 0 <= pinned[0] <= pinned[1] <= final:
            raise MalformedError(f"the pinned range is of final blocks, 0 to {final} now")
        return self._assemble(row, row.anchor, pinned, with_chunks=with_chunks).to_bytes()

    def _assemble(
        self, row: StatementRow, anchor: CheckpointRow, pinned: tuple[int, int], *, with_chunks: bool
    ) -> Evidence:
        effect = row.effect
        is_registration = row.type == "DatasetRegistration"
        return Evidence(
            type_name=row.type,
            message=dict(row.message),
            signature=row.signature,
            cosignature=row.cosignature,
            log=self._prove_entry(cast("int", row.log_index), anchor),
            anchor=self._prove_event(anchor.block, anchor.transaction, anchor.position, pinned),
            history=self._history(anchor.history_head),
            effect=self._prove_event(effect.block, effect.transaction, effect.position, pinned) if effect else None,
            content=self._content(row, with_chunks=with_chunks) if is_registration else None,
        )

    def _prove_entry(self, index: int, anchor: CheckpointRow) -> LogProof:
        origin = self._parts.config.origin
        note = self._parts.log_signer.sign(Checkpoint(origin, anchor.size, anchor.root).text)
        proof = self._parts.sequencer.reader.prove_inclusion(index, anchor.size)
        return LogProof(index, tuple(proof), note.to_bytes())

    def _history(self, head: Bytes32) -> tuple[HistoryRecord, ...]:
        rows = self._parts.store.chain.history_until(head)
        return tuple(
            HistoryRecord(int(row.kind), row.participant, row.detail, row.block, int(row.time.timestamp()))
            for row in rows
        )

    def _prove_event(self, number: int, transaction: Bytes32, position: int, pinned: tuple[int, int]) -> ChainProof:
        first, last = pinned
        if not first <= number <= last:
            raise ConflictError(
                f"block {number} lies outside the pinned range {first} to {last}: extend the policy",
                code="outside-range",
                facts={"block": number, "first": first, "last": last},
            )
        block = self._parts.edge.block(number)
        receipts = block.receipts if block else ()
        receipt = next((each for each in receipts if each.transaction_hash == transaction), None)
        hashes = self._block_hashes(last)
        if block is None or receipt is None or hashes[number] != block.hash:
            raise UnavailableError(f"the chain no longer shows block {number}: ask again", retry_after_s=_RETRY_AFTER_S)
        log = next(each for each in receipt.logs if each.index_in_block == position)
        return prove_event(
            block.header,
            [each.raw for each in receipts],
            receipt.transaction_index,
            log.index_in_receipt,
            prove_block(hashes[first:], number, first=first),
        )

    def _block_hashes(self, last: int) -> Sequence[Bytes32]:
        """Hashes of the final blocks 0 to ``last``."""
        with self._turn:
            for number in range(len(self._hashes), last + 1):
                header = self._parts.edge.header(number)
                if header is None:
                    raise UnavailableError(f"the node has no block {number}", retry_after_s=_RETRY_AFTER_S)
                self._hashes.append(header.hash)
            return self._hashes[: last + 1]

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
