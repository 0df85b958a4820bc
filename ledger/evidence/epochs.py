"""Epochs of validators: how a policy follows a QBFT chain from one set of validators to the next.

A pinned set vouches for the headers that it seals, and these carry the votes that make the next set: more than half of
the validators, each voting in a block that it proposed. So an epoch is closed, and the next opened, only by headers
without a gap, each sealed by its own quorum and naming its parent's hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ledger.errors import MalformedError, VerificationError
from ledger.evidence.header import Header
from ledger.evidence.policy import PinnedRange, Policy
from ledger.evidence.qbft import ExtraData, Vote, normalize_header, verify_sealed_header
from ledger.merkle import compute_root, leaf_hash
from ledger.types import Address, Bytes32

__all__ = ["extend_epochs"]


def extend_epochs(policy: Policy, headers: Iterable[bytes]) -> Policy:
    """Follow sealed headers (RLP, with seals) through every change of validators; return the policy that knows them.

    The headers begin with the first block of one of the policy's epochs of validators: a closed one's must lead to its
    pinned root again, and from the open one on each change closes an epoch and opens the next. Begin before the open
    epoch where votes of the epoch before may still count. Without a change the policy comes back as it was.

    Raises:
        MalformedError: the policy has no open epoch of validators, or what is given are not QBFT headers.
        VerificationError: the headers have a gap, do not reach the open epoch, are not sealed by the validators, lead
            to another root than a pinned one, or change the validators without the votes for it.
    """
    if policy.open_epoch is None:
        raise MalformedError("the policy has no open epoch of validators that could be extended")
    chain: _SealedChain | None = None
    for raw in headers:
        header = Header.parse(raw)
        chain = chain or _SealedChain(policy, header.number)
        chain.follow(header)
    if chain is None or chain.epoch.first < policy.open_epoch.first:
        raise VerificationError("the headers end before the open epoch of validators", expected=policy.open_epoch.first)
    kept = [each for each in policy.epochs if not each.validators or each.first < chain.first]
    epochs = {each.order: each for each in (*kept, *chain.closed, chain.epoch)}
    return replace(policy, epochs=tuple(epochs[order] for order in sorted(epochs)))


class _SealedChain:
    """Headers followed so far: the epochs that they closed, and the one that they are in."""

    def __init__(self, policy: Policy, first: int) -> None:
        self._pinned = {each.first: each for each in policy.sealed_epochs}
        if first not in self._pinned:
            raise VerificationError(
                "the headers do not begin with an epoch of validators in the policy",
                expected=sorted(self._pinned),
                found=first,
            )
        self._genesis_hash = policy.genesis_hash
        self.first = first
        self.closed: list[PinnedRange] = []
        self.epoch = PinnedRange(first, None, None, self._pinned[first].validators)
        self._tally = _Tally(self.epoch.validators)
        self._leaves: list[bytes] = []
        self._parent: Bytes32 | None = None

    def follow(self, header: Header) -> None:
        """Take the next header. Raises: MalformedError, VerificationError."""
        self._check_place(header)
        extra = ExtraData.of(header)
        if self._leaves:
            self._change(header.number, tuple(sorted(set(extra.validators))))
        block_hash = self._check_seals(header, extra)
        vote = extra.parse_vote()
        if vote is not None:
            self._tally.count(header.number, header.proposer, vote)
        self._leaves.append(leaf_hash(block_hash))
        self._parent = block_hash

    def _check_place(self, header: Header) -> None:
        expected = self.epoch.first + len(self._leaves)
        if header.number != expected:
            raise VerificationError("the headers have a gap", expected=expected, found=header.number)
        if self._parent is not None and header.parent_hash != self._parent:
            raise VerificationError(
                f"block {header.number} does not follow the one before", expected=self._parent, found=header.parent_hash
            )

    def _check_seals(self, header: Header, extra: ExtraData) -> Bytes32:
        if header.number:
            return verify_sealed_header(header.to_bytes(), self.epoch.validators).block_hash
        found = normalize_header(header).hash  # nobody seals the first block: it is known by its hash
        if found != self._genesis_hash or tuple(sorted(extra.validators)) != self.epoch.validators:
            raise VerificationError(
                "the genesis block is another one than the policy pins", expected=self._genesis_hash, found=found
            )
        return found

    def _change(self, number: int, named: tuple[Address, ...]) -> None:
        """Close the epoch where the header names other validators, if the votes say so."""
        decided = self._tally.decided
        if named == self.epoch.validators:
            self._tally.settle(is_followed=decided == named)
            return
        if named != decided:
            raise VerificationError(
                f"block {number} names other validators, and the votes in the blocks before do not make them so",
                expected=[str(each) for each in decided],
                found=[str(each) for each in named],
            )
        closed = PinnedRange(self.epoch.first, number - 1, Bytes32(compute_root(self._leaves)), self.epoch.validators)
        opened = PinnedRange(number, None, None, named)
        self._compare(closed)
        self._compare(opened)
        self.closed.append(closed)
        self.epoch = opened
        self._leaves = []
        self._tally.settle(is_followed=True)

    def _compare(self, found: PinnedRange) -> None:
        """Raise VerificationError if the policy pins this epoch, as far as both are known, otherwise."""
        known = self._pinned.get(found.first, found)
        is_either_open = known.last is None or found.last is None
        if known.validators != found.validators or not (is_either_open or known == found):
            raise VerificationError(
                f"the headers contradict the epoch that the policy pins ({known})",
                expected=known.root or known.validators,
                found=found.root or found.validators,
            )


class _Tally:
    """The validators' votes as QBFT counts them: of each voter the last one about a subject.

    At blocks that its genesis file alone names (each a multiple of ``epochLength``) a network forgets the votes so far,
    and does not count that block's own. Headers do not tell which these are; they show it where a change that the votes
    would make does not come. Then those votes have lapsed that must have, and the later ones still count.
    """

    def __init__(self, validators: tuple[Address, ...]) -> None:
        self._validators = validators
        self._ballots: dict[Address, dict[Address, tuple[bool, int]]] = {}
        self._deciding: int = -1
        self.decided = validators

    def count(self, number: int, voter: Address, vote: Vote) -> None:
        """Count a block's vote; ``decided`` are the next block's validators. Raises: VerificationError: no validator's.

        ``_deciding`` is the block of the oldest vote that a majority needs: without it there is none.
        """
        if voter not in self._validators:
            raise VerificationError(f"a vote of {voter}, which is no validator")
        ballots = self._ballots.setdefault(vote.subject, {})
        ballots[voter] = (vote.adds, number)
        adds, needed = vote.subject not in self._validators, len(self._validators) // 2 + 1
        agreeing = sorted((at for each, at in ballots.values() if each is adds), reverse=True)
        if len(agreeing) >= needed:
            self.decided, self._deciding = tuple(sorted(set(self._validators) ^ {vote.subject})), agreeing[needed - 1]

    def settle(self, *, is_followed: bool) -> None:
        """Go on to the next block: the decided validators are now the validators, or else votes have lapsed."""
        if not is_followed:
            self.decided = self._validators
            self._keep(lambda _, at: at > self._deciding)
            return
        changed = set(self._validators) ^ set(self.decided)
        self._validators = self.decided
        self._ballots = {subject: ballots for subject, ballots in self._ballots.items() if subject not in changed}
        self._keep(lambda voter, _: voter in self.decided)

    def _keep(self, is_kept: Callable[[Address, int], bool]) -> None:
        self._ballots = {
            subject: {voter: (adds, at) for voter, (adds, at) in ballots.items() if is_kept(voter, at)}
            for subject, ballots in self._ballots.items()
        }
