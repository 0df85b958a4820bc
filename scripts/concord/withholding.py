"""What was not delivered: evidence that a provider withheld the key, or delivered something else than it registered.

Made from what an unfinished pull left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from ledger.content.release import LEAST_TERM_S, RecipientKey
from ledger.errors import NotFoundError, UnavailableError
from ledger.evidence import (
    Delivery,
    EventEvidence,
    Evidence,
    ShownChunk,
    Silence,
    WrongData,
    build_event_evidence,
    build_withheld,
    build_wrong_data,
    build_wrong_key,
    parse_evidence,
)
from ledger.evidence.events import EVENTS
from ledger.evidence.policy import PinnedLog, Policy
from ledger.evidence.signing import format_time
from ledger.exchange.evidence.attesting import AttestedPlace
from ledger.log import Checkpoint
from ledger.log.mirror import Mirror
from ledger.log.note import SignedNote
from ledger.statements import Statement
from ledger.types import Bytes32
from scripts.concord.chain_side import ChainSide, Recorded

__all__ = ["accuse_of_data", "accuse_of_release", "accuse_of_silence", "find_registration"]

_CONTRACT: Final = "CheckpointLog"

Fetch = Callable[[str], bytes]
"""Evidence of the transfer's ``sealing``, ``receipt`` or ``release``."""
Registration = Evidence | EventEvidence


def accuse_of_release(fetch: Fetch, recipient: RecipientKey) -> Delivery:
    """What the release is worth, with all that is needed to judge it. Raises: as ``fetch``; MalformedError."""
    sealing, receipt, release = (parse_evidence(fetch(part)) for part in ("sealing", "receipt", "release"))
    return build_wrong_key(receipt, recipient, sealing=sealing, release=release)


def accuse_of_data(
    fetch: Fetch, recipient: RecipientKey, chunk: ShownChunk, find: Callable[[Evidence], Registration]
) -> Delivery:
    """What the released key opens, with all that is needed to judge it; ``find`` gives the sealing's registration.

    Raises:
        As ``fetch`` and ``find``; MalformedError.
    """
    sealing, receipt, release = (parse_evidence(fetch(part)) for part in ("sealing", "receipt", "release"))
    wrong = WrongData(release, find(sealing), chunk)
    return build_wrong_data(receipt, recipient, sealing=sealing, wrong=wrong)


def find_registration(sealing: Evidence, chain: ChainSide, policy: Policy) -> EventEvidence:
    """The registration that was sealed, as the contract's event shows it.

    Raises:
        NotFoundError: it is not on chain, but in a log alone.
        UnavailableError: the node does not answer.
    """
    digest = Bytes32.parse(str(sealing.message.get("registration")))
    contract, last = policy.address_of("DatasetRegistry"), chain.edge.final_head().number
    found = chain.edge.find_events(contract, [[EVENTS["DatasetRegistered"].topic], [digest]], 0, last)
    if not found:
        raise NotFoundError(
            f"the registration {digest} is in a log alone, and not on chain: have evidence of it from its provider or "
            "an auditor (`concord evidence`), and give it with --part"
        )
    place = AttestedPlace(found[0].block, found[0].transaction, found[0].position)
    return build_event_evidence(chain.prove(place, policy))


def accuse_of_silence(fetch: Fetch, recipient: RecipientKey, chain: ChainSide, policy: Policy, tiles: str) -> Delivery:
    """All that the log holds since the receipt, up to the newest event of the contract about it.

    Raises:
        UnavailableError: the key was not due yet, or nothing on chain is later than that: have the log
            attested (``concord log attest``) and ask again; or the tiles are not those of the log on chain.
        Others as ``fetch``.
    """
    receipt, sealing = (parse_evidence(fetch(part)) for part in ("receipt", "sealing"))
    recorded = chain.recorded(policy.address_of(_CONTRACT), _find_log(receipt, policy).id)
    due = _find_due(receipt, recorded)
    newest = next((each for each in reversed(recorded) if chain.time_of(each.place.block) > due), None)
    if newest is None:
        raise UnavailableError(
            f"nothing on chain shows the log after the key was due, at {format_time(due)}: once it was, `concord log "
            "attest` has the chain say how large the log is; then ask again"
        )
    since = Silence(chain.prove(newest.place, policy), *_read_since(receipt, newest, tiles))
    shown, sealed = (_anchor_anew(each, recorded, chain, policy) for each in (receipt, sealing))
    return build_withheld(shown, recipient, sealing=sealed, since=since)


def _find_due(receipt: Evidence, recorded: Sequence[Recorded]) -> int:
    """By when the provider owed the key: as docs/spec/evidence-delivery.md says."""
    covering = (each.time for each in recorded if each.previous_size is not None and each.size > receipt.log.index)
    return max(Statement.parse(receipt.type_name, receipt.message).deadline, next(covering, 0) + LEAST_TERM_S)


def _anchor_anew(shown: Evidence, recorded: Sequence[Recorded], chain: ChainSide, policy: Policy) -> Evidence:
    """Evidence that was kept is of other pins than this policy's: the same checkpoint, as the node shows it."""
    size = Checkpoint.parse(SignedNote.parse(shown.log.checkpoint).text).size
    place = next((each.place for each in recorded if each.size == size and each.previous_size is not None), None)
    return shown if place is None else replace(shown, anchor=chain.prove(place, policy))


def _read_since(receipt: Evidence, newest: Recorded, tiles: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    reader = Mirror(tiles).reader(newest.size)
    if reader.root(newest.size) != newest.root:
        raise UnavailableError(
            f"the tiles of {tiles} do not hash to the {newest.size} entries on chain: name another mirror"
        )
    index = receipt.log.index
    left = reversed(reader.prove_inclusion(index, index + 1))  # of a tree's last leaf: all complete subtrees before it
    return tuple(left), tuple(reader.entries(index + 1, newest.size - index - 1))


def _find_log(receipt: Evidence, policy: Policy) -> PinnedLog:
    note = SignedNote.parse(receipt.log.checkpoint)
    origin, signed = Checkpoint.parse(note.text).origin, {line.key_id for line in note.signatures}
    for log in policy.logs:
        if log.origin == origin and signed & {key.key_id for key in log.keys}:
            return log
    raise NotFoundError(f"your policy knows no log {origin!a} with the key that signed: extend it")
