"""How a policy is made with a node, extended later, and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence.epochs import extend_epochs
from ledger.evidence.events import EVENTS, LogKey, parse_log_key
from ledger.evidence.header import Header
from ledger.evidence.node import Node
from ledger.evidence.policy import CONTRACT_NAMES, PinnedContract, PinnedLog, PinnedRange, Policy
from ledger.evidence.qbft import ExtraData, is_sealed_block
from ledger.log.note import VerifierKey
from ledger.merkle import compute_root, leaf_hash
from ledger.types import Address, Bytes32

__all__ = ["compute_block_root", "create_policy", "diff_policies"]


def compute_block_root(block_hashes: Iterable[Bytes32]) -> Bytes32:
    """The RFC 6962 root over block hashes in order: what a policy pins."""
    return Bytes32(compute_root([leaf_hash(block_hash) for block_hash in block_hashes]))


def create_policy(
    node: Node,
    contracts: Mapping[str, Address],
    *,
    last: int | None = None,
    extends: Policy | None = None,
    warn: Callable[[str], object] | None = None,
) -> Policy:
    """Make a policy with a node of the auditor's choice, never from a gateway.

    Reads chain id, genesis hash, each contract's code, the logs that were opened with all their keys, and the hashes of
    the blocks 0 to ``last`` (the head by default). A QBFT chain, known by its genesis block, is pinned by its epochs of
    validators, from the genesis block's on, with every seal and vote checked. With ``extends`` the earlier policy's
    ranges and keys are kept, so that evidence made under it stays good. A log whose origin can not name a key is left
    out, for no evidence can come from it, and so is a key that another log of that origin had first: what it signs
    could be held against either. ``warn`` is told of each in a sentence.

    Raises:
        UnavailableError: the node does not answer or lacks a contract.
        VerificationError: the node contradicts the policy that is extended: another chain, or a rewritten one. Or its
            chain is not sealed as it should be.
        MalformedError: a contract is missing or unknown, or the node has no such last block.
    """
    if sorted(contracts) != sorted(CONTRACT_NAMES):
        raise MalformedError(f"a policy names the contracts {', '.join(sorted(CONTRACT_NAMES))}")
    head = node.fetch_head()
    last = head if last is None else last
    if not 0 <= last <= head:
        raise MalformedError(f"the node's last block is {head}, block {last} can not be pinned")
    hashes, tell = node.fetch_block_hashes(0, last), warn or _tell_nobody
    pinned = {name: PinnedContract(address, node.fetch_code_hash(address)) for name, address in contracts.items()}
    keys = _fetch_log_keys(node, contracts["CheckpointLog"], last)
    policy = Policy(
        chain_id=node.fetch_chain_id(),
        genesis_hash=hashes[0],
        contracts=pinned,
        epochs=(_pin_blocks(node, hashes),),
        logs=_collect_logs(keys, tell),
    )
    if policy.open_epoch is not None:
        policy = extend_epochs(policy, node.fetch_headers(0, last))
    return policy if extends is None else _extend(policy, extends, hashes, tell)


def diff_policies(old: Policy, new: Policy) -> list[str]:
    """What changed, one line each; empty when they trust the same."""
    lines = [
        f"{name}: {before} -> {after}"
        for name, before, after in (
            ("chain_id", old.chain_id, new.chain_id),
            ("genesis_hash", old.genesis_hash, new.genesis_hash),
        )
        if before != after
    ]
    for name in CONTRACT_NAMES:
        before, after = old.contracts[name], new.contracts[name]
        if before.address != after.address:
            lines.append(f"{name} address: {before.address} -> {after.address}")
        if before.code_hash != after.code_hash:
            lines.append(f"{name} code_hash: {before.code_hash} -> {after.code_hash}")
    lines += _diff_lines(_epoch_lines(old), _epoch_lines(new))
    lines += _diff_lines(_key_lines(old), _key_lines(new))
    return lines


def _pin_blocks(node: Node, hashes: list[Bytes32]) -> PinnedRange:
    """The range of all blocks, or the open epoch of the validators whom a QBFT chain's genesis block names."""
    if not is_sealed_block(node.fetch_block(0)):
        return PinnedRange(0, len(hashes) - 1, compute_block_root(hashes))
    genesis = Header.parse(next(node.fetch_headers(0, 0)))
    validators = ExtraData.of(genesis).validators
    if not validators:
        raise UnavailableError(
            "the genesis block names no validators: a contract chooses them, which can not be followed"
        )
    return PinnedRange(0, None, None, tuple(sorted(validators)))


def _fetch_log_keys(node: Node, contract: Address, last: int) -> list[LogKey]:
    topics = [EVENTS["LogOpened"].topic, EVENTS["LogRotated"].topic]
    try:
        parsed = [parse_log_key(event) for event in node.fetch_events(contract, topics, 0, last)]
    except MalformedError as error:
        raise UnavailableError(f"the node {node.name} answered an event that can not be read: {error}") from error
    return [key for key in parsed if key is not None]


def _collect_logs(keys: Iterable[LogKey], warn: Callable[[str], object]) -> tuple[PinnedLog, ...]:
    """The logs with their keys, each key at the log that had it first, as the contract sees to it by now."""
    logs: dict[Bytes32, PinnedLog] = {}
    owners: dict[VerifierKey, Bytes32] = {}
    for key in keys:
        known = logs.get(key.log)
        if key.operator is not None and key.origin is not None:
            if not _is_key_name(key.origin):
                warn(f"left out log {key.log} of operator {key.operator}: its origin {key.origin!a} names no key")
                continue
            known = PinnedLog(key.operator, key.origin, ())
        if known is None:
            continue
        added = VerifierKey(known.origin, key.public_key)
        if owners.setdefault(added, key.log) == key.log:
            logs[key.log] = _merge(known, (added,))
        else:
            warn(_tell_taken(known, added, logs[owners[added]]))
    return tuple(sorted(logs.values(), key=lambda log: (log.operator, log.origin)))


def _tell_taken(log: PinnedLog, key: VerifierKey, owner: PinnedLog) -> str:
    left_out = f"the key {key.key_id.hex()} of log" if log.keys else "log"
    return (
        f"left out {left_out} {log.id} of operator {log.operator}: its key {key} is that of log {owner.id} of operator "
        f"{owner.operator}, which had it first"
    )


def _tell_nobody(sentence: str) -> None:
    """What becomes of a warning that nobody asked for."""


def _is_key_name(origin: str) -> bool:
    """Whether this is an origin as `CheckpointLog` takes it: printable ASCII without space and plus."""
    return origin != "" and all("!" <= char <= "~" and char != "+" for char in origin)


def _merge(log: PinnedLog, keys: Iterable[VerifierKey]) -> PinnedLog:
    """The log with keys that came after its own; one that came back counts as the newest that it is."""
    later = tuple(dict.fromkeys(keys))
    return PinnedLog(log.operator, log.origin, (*(key for key in log.keys if key not in later), *later))


def _extend(policy: Policy, earlier: Policy, hashes: list[Bytes32], warn: Callable[[str], object]) -> Policy:
    for name, before, after in (
        ("chain id", earlier.chain_id, policy.chain_id),
        ("genesis hash", earlier.genesis_hash, policy.genesis_hash),
        ("contracts", earlier.contracts, policy.contracts),
    ):
        if before != after:
            raise VerificationError(
                f"the node has another {name} than the policy that is extended", expected=before, found=after
            )
    for pinned in earlier.epochs:
        _check_pinned(pinned, policy, hashes)
    kept = [each for each in earlier.epochs if not each.validators]  # of the others ``policy`` has each and more
    epochs = {each.order: each for each in (*kept, *policy.epochs)}
    logs = {log.id: log for log in _keep_own(earlier.logs, policy.logs, warn)}
    for log in policy.logs:
        logs[log.id] = _merge(logs.get(log.id, log), log.keys)
    return Policy(
        policy.chain_id,
        policy.genesis_hash,
        policy.contracts,
        tuple(epochs[key] for key in sorted(epochs)),
        tuple(sorted(logs.values(), key=lambda log: (log.operator, log.origin))),
    )


def _keep_own(
    earlier: Iterable[PinnedLog], logs: Iterable[PinnedLog], warn: Callable[[str], object]
) -> Iterator[PinnedLog]:
    """An earlier policy's logs without the keys that are another log's, as the chain tells it."""
    owners = {key: log for log in logs for key in log.keys}
    for log in earlier:
        taken = [key for key in log.keys if owners.get(key, log).id != log.id]
        for key in taken:
            warn(_tell_taken(log, key, owners[key]))
        if len(taken) < len(log.keys):
            yield PinnedLog(log.operator, log.origin, tuple(key for key in log.keys if key not in taken))


def _check_pinned(pinned: PinnedRange, policy: Policy, hashes: list[Bytes32]) -> None:
    """Raise VerificationError unless the node's chain is the one that an earlier policy pins."""
    # A range that the node's chain does not reach yet is refused, too: the chain that was pinned is longer.
    found = compute_block_root(hashes[pinned.first : pinned.order[1] + 1])
    is_same_chain = pinned.last is None or found == pinned.root
    has_same_validators = not pinned.validators or any(
        (each.first, each.validators) == (pinned.first, pinned.validators) for each in policy.sealed_epochs
    )
    if not (is_same_chain and has_same_validators):
        raise VerificationError(
            f"the node's chain is not the one that the earlier policy pins ({pinned}): it was rewritten, or the range "
            "to pin ends before it",
            expected=str(pinned.root or pinned),
            found=str(found),
        )


def _epoch_lines(policy: Policy) -> list[str]:
    return [
        ", ".join([str(pinned) if pinned.root is None else f"{pinned}: {pinned.root}", *map(_name, pinned.validators)])
        for pinned in policy.epochs
    ]


def _name(validator: Address) -> str:
    return f"validator {validator}"


def _key_lines(policy: Policy) -> list[str]:
    return [f"log {key}, operator {log.operator}" for log in policy.logs for key in log.keys]


def _diff_lines(old: list[str], new: list[str]) -> list[str]:
    return [f"- {line}" for line in old if line not in new] + [f"+ {line}" for line in new if line not in old]
