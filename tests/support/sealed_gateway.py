"""What a gateway keeps of a `SealedWorld`: its node, its store's rows and its log, as the assembly of evidence asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from ledger.chain import Block, Head
from ledger.evidence.events import parse_checkpoint_published
from ledger.evidence.proven_event import ProvenEvent
from ledger.exchange.parts import Parts
from ledger.keccak import keccak256
from ledger.merkle import leaf_hash, prove_inclusion
from ledger.statements import HistoryKind
from ledger.store.rows import CheckpointRow, EffectRow, HistoryRow, StatementRow, StatementState
from ledger.store.rows.statements import InForce
from ledger.types import Bytes32
from tests.support.evidence_world import CONTRACTS, ORIGIN, Published, Stated, World

__all__ = ["NodeOfBlocks", "NodeOfWorld", "parts_of"]


class NodeOfBlocks:
    """Recorded JSON-RPC blocks, each with its receipts, as the chain edge reads them; ``final`` is the last of them."""

    def __init__(self, forms: Sequence[Mapping[str, Any]], hashes: Sequence[Bytes32]) -> None:
        self._forms = {int(form["number"], 16): form for form in forms}
        self._hashes = hashes
        self.asked = 0

    def final_head(self) -> Head:
        return self.headers(len(self._hashes) - 1, len(self._hashes) - 1)[0]

    def block(self, number: int) -> Block | None:
        form = self._forms.get(number)
        return None if form is None else Block.parse(form, form["receipts"])

    def headers(self, first: int, last: int) -> list[Head]:
        self.asked += 1
        end = min(last + 1, len(self._hashes))
        parents = [Bytes32(bytes(32)), *self._hashes]
        return [Head(number, self._hashes[number], parents[number], 0) for number in range(first, end)]


class NodeOfWorld(NodeOfBlocks):
    """The blocks of a world, whose transactions are named by their place."""

    def __init__(self, world: World) -> None:
        super().__init__([_form_of(world, number) for number in range(len(world.blocks))], _hashes_of(world))


def _hashes_of(world: World) -> list[Bytes32]:
    return [block.hash for block in world.blocks]


def transaction_at(number: int, index: int) -> Bytes32:
    """The name of a transaction."""
    return Bytes32(keccak256(f"{number}/{index}".encode()))


def _form_of(world: World, number: int) -> dict[str, Any]:
    block = world.blocks[number]
    receipts, position = [], 0
    for index, receipt in enumerate(block.receipts):
        logs = []
        for log in cast("list[dict[str, object]]", receipt["logs"]):
            logs.append({**log, "logIndex": hex(position)})
            position += 1
        place = {"transactionHash": str(transaction_at(number, index)), "transactionIndex": hex(index)}
        where = {"blockNumber": hex(number), "blockHash": str(block.hash), "gasUsed": "0x5208"}
        receipts.append({**receipt, **place, **where, "logs": logs})
    hashes = [{"hash": receipt["transactionHash"]} for receipt in receipts]
    return {**block.form, "transactions": hashes, "receipts": receipts}


@dataclass
class _Chain:
    world: World

    def history_until(self, head: Bytes32) -> tuple[HistoryRow, ...]:
        count = next(each for each in range(len(self.world.history) + 1) if self.world.head(each) == head)
        return tuple(
            HistoryRow(index, HistoryKind(each.kind), each.participant, each.detail, head, each.block, _at(each.time))
            for index, each in enumerate(self.world.history[:count], start=1)
        )


def parts_of(world: World, *stated: Stated) -> Parts:
    """The parts of a gateway that took these statements."""
    rows = {each.statement.digest(world.domains): _row_of(world, each) for each in stated}
    leaves = [leaf_hash(entry) for entry in world.entries]
    reader = SimpleNamespace(prove_inclusion=lambda index, size: prove_inclusion(leaves, index, size))
    store = SimpleNamespace(statements=SimpleNamespace(find=rows.get), chain=_Chain(world))
    parts = SimpleNamespace(
        store=store,
        edge=NodeOfWorld(world),
        sequencer=SimpleNamespace(reader=reader),
        log_signer=world.signer,
        config=SimpleNamespace(origin=ORIGIN),
    )
    return cast("Parts", parts)


def _row_of(world: World, stated: Stated) -> StatementRow:
    published = next(each for each in world.published if stated.index < each.size)
    digest = stated.statement.digest(world.domains)
    event = None if stated.effect is None else ProvenEvent("effect", stated.effect)
    effect = None
    if event is not None:
        number = event.header.number
        kind = stated.statement.type
        place = (number, 0, transaction_at(number, 0), _at(event.header.timestamp))
        effect = EffectRow(digest, kind.contract, "", *place)
    return StatementRow(
        digest=digest,
        type=stated.statement.type.name,
        participant=stated.statement.participant,
        message=stated.statement.to_json(),
        signature=stated.signature,
        signer=CONTRACTS["CheckpointLog"],
        cosignature=stated.cosignature,
        custodial=False,
        api_key=None,
        received_at=_at(published.time),
        executable=effect is not None,
        log=world.log_id,
        log_index=stated.index,
        checkpoint_size=published.size,
        refusal=None,
        anchor=_checkpoint_of(published),
        effect=effect,
        state=StatementState.FINAL,
        in_force=InForce.YES if effect else InForce.NOT_APPLICABLE,
    )


def _checkpoint_of(published: Published) -> CheckpointRow:
    event = ProvenEvent("anchor", published.chain)
    found = parse_checkpoint_published(event.event, CONTRACTS["CheckpointLog"])
    number = event.header.number
    return CheckpointRow(
        log=found.log,
        size=found.size,
        root=found.root,
        time=_at(found.time),
        previous_size=found.previous_size,
        previous_root=found.previous_root,
        previous_time=_at(found.previous_time),
        history_head=found.history_head,
        block=number,
        position=published.chain.log_position,  # the block's other transaction has no event
        transaction=transaction_at(number, published.chain.receipt_index),
    )


def _at(time_s: int) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
