"""Did the log break the promise of a receipt? Found out from the chain and the log's tiles, without its gateway."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, cast

from ledger.canonical import JsonValue
from ledger.chain import LocalSigner, encode_attest_log
from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence import Breach, build_forked, build_missed, build_replaced
from ledger.evidence.policy import PinnedLog, Policy
from ledger.exchange.evidence.attesting import AttestedPlace
from ledger.log import Checkpoint, TileReader, verify_receipt
from ledger.log.mirror import Mirror
from ledger.log.tlog_proof import TlogProof
from ledger.merkle import leaf_hash
from ledger.statements import Entry, Statement
from ledger.types import parse_hex
from scripts.concord.chain_side import ChainSide, Recorded, place_of
from scripts.concord.files import read_object

__all__ = ["Promise", "find_breach", "load_promise"]

_CONTRACT: Final = "CheckpointLog"


@dataclass(frozen=True)
class Promise:
    """What a log signed: this entry, at this index, anchored by then."""

    log: PinnedLog
    statement: Statement
    signature: bytes
    receipt: bytes
    entry: Entry
    index: int
    checkpoint: Checkpoint

    @property
    def due(self) -> datetime:
        """By when it is anchored."""
        return cast("datetime", self.checkpoint.anchor_by)


def load_promise(kept: Path, policy: Policy, receipt: Path | None = None) -> tuple[Promise, ...]:
    """Read what `concord statement keep` wrote (or any file with the statement) and its receipt, and check it.

    The promise, once for each log of the policy that may have made it: with its origin, and the key that signed.

    Raises:
        NotFoundError, MalformedError: no such file, or not what it should be: no receipt that the log signed of this.
        UnavailableError: the policy does not know the log.
    """
    document = read_object(kept)
    stated = document.get("statement", document)
    try:
        members = cast("dict[str, JsonValue]", stated)
        statement = Statement.parse(str(members["type"]), members["message"])
        signature = parse_hex(str(document["signature"]))
        raw = receipt.read_bytes() if receipt is not None else str(document["receipt"]).encode()
    except (KeyError, TypeError) as error:
        raise MalformedError(
            f"{kept} has no type, message, signature and receipt: `concord statement keep` writes such a file"
        ) from error
    except OSError as error:
        raise MalformedError(f"{receipt} can not be read: {error.strerror}") from error
    entry = Entry.of(statement.digest(policy.domains), statement.participant, signature)
    proof = TlogProof.parse(raw)
    try:
        signed = _check_receipt(raw, proof, entry, policy)
    except VerificationError as error:  # says nothing about the log, which promised nothing by it
        raise MalformedError(f"{receipt or kept} is no receipt of the statement in {kept}: {error}") from error
    return tuple(Promise(log, statement, signature, raw, entry, proof.index, checkpoint) for log, checkpoint in signed)


def find_breach(
    chain: ChainSide, policy: Policy, promises: Sequence[Promise], tiles: str | None, sender: LocalSigner | None
) -> tuple[Promise, Breach | None]:
    """The evidence that the promise was broken, or None: it was kept; and which log's promise it is.

    Where several logs have the key that signed, none is charged with another's: what one of them kept was kept.

    Raises:
        UnavailableError: not to be told yet, or not without tiles or an attestation; says what to do.
        RefusedError: the attestation was refused.
    """
    if len(promises) == 1:
        return promises[0], _find_breach(chain, policy, promises[0], tiles, sender)
    for each in promises:
        with suppress(UnavailableError):
            if _find_breach(chain, policy, each, tiles, None) is None:
                return each, None
    operators = ", ".join(str(each.log.operator) for each in promises)
    raise UnavailableError(
        f"which log made the promise can not be told: your policy has the key that signed for {len(promises)} logs "
        f"{promises[0].log.origin} (operators {operators}), and none is seen to have kept it. Make the policy anew "
        "(`concord policy create`): it leaves out those that had the key later"
    )


def _find_breach(
    chain: ChainSide, policy: Policy, promise: Promise, tiles: str | None, sender: LocalSigner | None
) -> Breach | None:
    recorded = chain.recorded(policy.address_of(_CONTRACT), promise.log.id)
    covering = next((each for each in recorded if each.previous_size is not None and each.size > promise.index), None)
    if covering is not None and covering.time <= promise.due.timestamp():
        reader = _open_tiles(tiles, covering, promise)
        return _compare_entries(chain, policy, promise, covering, reader) or _compare_roots(
            chain, policy, promise, recorded, str(tiles)
        )
    place = covering.place if covering is not None else _find_after(chain, promise, recorded)
    if place is None:
        place = _attest(chain, policy, promise, sender)
    return build_missed(promise.receipt, promise.statement, promise.signature, chain.prove(place, policy))


def _check_receipt(raw: bytes, proof: TlogProof, entry: Entry, policy: Policy) -> list[tuple[PinnedLog, Checkpoint]]:
    """The policy's logs that have the key which signed, each with the checkpoint; an origin is not one log's alone.

    Raises:
        UnavailableError: there is no such key.
        VerificationError: there is one, and it did not sign this receipt of this entry.
    """
    origin = Checkpoint.parse(proof.note.text).origin
    signed = {line.key_id for line in proof.note.signatures}
    found: list[tuple[PinnedLog, Checkpoint]] = []
    unknown = f"your policy knows no key of the log {origin!a} that signed this receipt: extend it"
    reason: VerificationError | UnavailableError = UnavailableError(unknown)
    candidates = ((each, key) for each in policy.logs if each.origin == origin for key in each.keys)
    for log, key in candidates:
        if key.key_id in signed:
            try:
                found.append((log, verify_receipt(raw, entry.to_bytes(), key)))
            except VerificationError as error:  # a key's id is short: another log's may have the same one
                reason = error
    if found:
        return found
    raise reason


def _find_after(chain: ChainSide, promise: Promise, recorded: list[Recorded]) -> AttestedPlace | None:
    """An event after the time promised that shows the log too small."""
    for each in reversed(recorded):
        if each.size <= promise.index and chain.time_of(each.place.block) > promise.due.timestamp():
            return each.place
    return None


def _attest(chain: ChainSide, policy: Policy, promise: Promise, sender: LocalSigner | None) -> AttestedPlace:
    head = chain.edge.head()
    due = int(promise.due.timestamp())
    if sender is None:
        word = "was not anchored so far" if head.timestamp > due else "is not due yet"
        raise UnavailableError(
            f"entry {promise.index} {word} (promised by {promise.due:%Y-%m-%d %H:%M:%SZ}), and no event after that "
            "time shows it: ask again then with --sender, an account that may send, to have the chain attest the log"
        )
    call = encode_attest_log(
        policy.domains.contracts, promise.log.id, chain.present(policy.address_of(_CONTRACT), promise.log)
    )
    receipt = chain.send(sender, call)
    if chain.time_of(receipt.block_number) <= due:
        raise UnavailableError(f"the log promised to anchor by {promise.due:%Y-%m-%d %H:%M:%SZ}: ask again after that")
    return place_of(receipt)


def _open_tiles(tiles: str | None, covering: Recorded, promise: Promise) -> TileReader:
    if tiles is None:
        raise UnavailableError(
            f"the log anchored {covering.size} entries in time: name its tiles with --tiles, a mirror or its URL, to "
            f"see whether entry {promise.index} is yours"
        )
    reader = Mirror(tiles).reader(covering.size)
    if reader.root(covering.size) != covering.root:
        raise UnavailableError(
            f"the tiles of {tiles} do not hash to the checkpoint of size {covering.size} on chain: name another mirror"
        )
    return reader


def _compare_entries(
    chain: ChainSide, policy: Policy, promise: Promise, covering: Recorded, reader: TileReader
) -> Breach | None:
    found = leaf_hash(reader.entry(promise.index))
    if found == leaf_hash(promise.entry.to_bytes()):
        return None
    proof = reader.prove_inclusion(promise.index, covering.size)
    event = chain.prove(covering.place, policy)
    return build_replaced(promise.receipt, promise.statement, promise.signature, event, leaf_hash=found, proof=proof)


def _compare_roots(
    chain: ChainSide, policy: Policy, promise: Promise, recorded: list[Recorded], tiles: str
) -> Breach | None:
    """The entry is there; whether the checkpoint in the receipt is of the same history, once one on chain covers it."""
    size = promise.checkpoint.size
    covering = next((each for each in recorded if each.previous_size is not None and each.size >= size), None)
    if covering is None:
        return None
    reader = _open_tiles(tiles, covering, promise)
    if reader.root(size) == promise.checkpoint.root:
        return None
    note = TlogProof.parse(promise.receipt).note.to_bytes()
    proof = reader.prove_consistency(size, covering.size)
    return build_forked(note, chain.prove(covering.place, policy), root=reader.root(size), proof=proof)
