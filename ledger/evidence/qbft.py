"""Headers sealed by QBFT validators (Hyperledger Besu, GoQuorum).

``extraData = RLP[vanity, validators, vote, round, seals]``. Each validator signs the header without the seals but
*with* the round; the block's hash is that of the header without the seals and with round 0. A quorum is ceil(2n/3)
distinct validators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from ledger.errors import MalformedError, VerificationError
from ledger.evidence.header import Header
from ledger.evidence.rlp import RlpItem, encode_int, encode_rlp, expect_bytes, expect_list, parse_int, parse_rlp
from ledger.keccak import keccak256
from ledger.statements import recover_signer
from ledger.types import Address, Bytes32

__all__ = [
    "ExtraData",
    "SealedHeader",
    "Vote",
    "compute_block_hash",
    "has_seals",
    "is_sealed_block",
    "normalize_header",
    "verify_sealed_header",
]

_MIX_HASH: Final = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")
_MIX_HASH_AT: Final = 13
_SEAL_SIZE: Final = 65
# GoQuorum and Besu write 0xff to add; dropping is zero, which as an RLP number is empty.
_VOTE_TYPES: Final = {b"\xff": True, b"": False, b"\0": False}


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """What a quorum of the validators sealed, and which of them did."""

    block_hash: Bytes32
    number: int
    receipts_root: Bytes32
    sealers: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Vote:
    """A proposer's vote to add a validator, or to drop one."""

    subject: Address
    adds: bool


@dataclass(frozen=True, slots=True)
class ExtraData:
    """What a QBFT header's extra data say; ``validators`` are those whose seals its own block needs."""

    vanity: bytes
    validators: tuple[Address, ...]
    vote: RlpItem
    round: RlpItem
    seals: tuple[bytes, ...]

    @classmethod
    def of(cls, header: Header) -> Self:
        """Read a header's extra data. Raises: MalformedError: not a QBFT header, or not of that form."""
        if header.fields[_MIX_HASH_AT] != _MIX_HASH:
            raise MalformedError("not a QBFT header: its mix hash is another")
        vanity, validators, vote, number, seals = expect_list(parse_rlp(header.extra_data), 5)
        if vote != []:
            expect_bytes(expect_list(vote, 2)[0], 20)
        parse_int(number, 4)
        return cls(
            expect_bytes(vanity),
            tuple(Address(expect_bytes(each, 20)) for each in expect_list(validators)),
            vote,
            number,
            tuple(expect_bytes(each, _SEAL_SIZE) for each in expect_list(seals)),
        )

    def parse_vote(self) -> Vote | None:
        """Read the vote, if there is one. Raises: MalformedError."""
        if self.vote == []:
            return None
        subject, kind = expect_list(self.vote, 2)
        if expect_bytes(kind) not in _VOTE_TYPES:
            raise MalformedError("a validator's vote neither adds nor drops")
        return Vote(Address(expect_bytes(subject, 20)), _VOTE_TYPES[expect_bytes(kind)])

    def without_seals(self, *, keep_round: bool) -> bytes:
        """The extra data without seals: with the round, as the validators sign them, or with round 0, as hashed."""
        number = self.round if keep_round else encode_int(0)
        return encode_rlp([self.vanity, list[RlpItem](self.validators), self.vote, number, []])


def normalize_header(header: Header) -> Header:
    """Return the header whose hash is the block's: under QBFT without seals and with round 0, else itself.

    Raises:
        MalformedError: a QBFT header whose extra data are not of that form.
    """
    if header.fields[_MIX_HASH_AT] != _MIX_HASH:
        return header
    return header.with_extra_data(ExtraData.of(header).without_seals(keep_round=False))


def compute_block_hash(header: Header) -> Bytes32:
    """Return the hash of the block, seals or not. Raises: MalformedError: as `normalize_header`."""
    return normalize_header(header).hash


def has_seals(header: Header) -> bool:
    """Whether the header is a QBFT one with seals, of whatever worth. Raises: MalformedError: as `normalize_header`."""
    return header.fields[_MIX_HASH_AT] == _MIX_HASH and bool(ExtraData.of(header).seals)


def is_sealed_block(block: Mapping[str, object]) -> bool:
    """Whether a JSON-RPC block says that it is of a QBFT chain; a genesis block does, though it has no seals."""
    return str(block.get("mixHash")).lower() == "0x" + _MIX_HASH.hex()


def verify_sealed_header(header_rlp: bytes, validators: Iterable[bytes]) -> SealedHeader:
    """Check that ceil(2n/3) distinct ``validators`` sealed the header, and that it names exactly them.

    Every seal must be canonical (65 bytes, low s, v 0 or 1) and by a distinct validator: a surplus or double one is
    refused even where the others make a quorum.

    Raises:
        MalformedError: not the RLP of a QBFT header, a seal that is not canonical, or no validators given.
        VerificationError: other validators, a seal by a stranger or twice by one validator, or too few.
    """
    pinned = {Address(validator) for validator in validators}
    if not pinned:
        raise MalformedError("no validators are given")
    header = Header.parse(header_rlp)
    extra = ExtraData.of(header)
    if len(extra.validators) != len(pinned) or set(extra.validators) != pinned:
        raise VerificationError(
            f"block {header.number} names other validators than the pinned ones: if they were voted in or out since, "
            "extend your policy (concord policy create --extends)",
            expected=sorted(map(str, pinned)),
            found=[str(each) for each in extra.validators],
        )
    sealed_hash = Bytes32(keccak256(header.with_extra_data(extra.without_seals(keep_round=True)).to_bytes()))
    sealers = _check_seals(header.number, sealed_hash, extra.seals, pinned)
    return SealedHeader(normalize_header(header).hash, header.number, header.receipts_root, sealers)


def _check_seals(
    number: int, sealed_hash: Bytes32, seals: Sequence[bytes], pinned: set[Address]
) -> tuple[Address, ...]:
    sealers: list[Address] = []
    for seal in seals:
        if seal[-1] > 1:
            raise MalformedError(f"a seal of block {number} ends with v {seal[-1]}, not 0 or 1")
        sealer = recover_signer(sealed_hash, seal[:-1] + bytes([seal[-1] + 27]))
        if sealer not in pinned:
            raise VerificationError(f"block {number} has a seal of {sealer}, which is no pinned validator")
        if sealer in sealers:
            raise VerificationError(f"block {number} has two seals of the validator {sealer}")
        sealers.append(sealer)
    quorum = -(-2 * len(pinned) // 3)
    if len(sealers) < quorum:
        raise VerificationError(
            f"block {number} is sealed by {len(sealers)} of {len(pinned)} validators, {quorum} are a quorum",
            expected=quorum,
            found=len(sealers),
        )
    return tuple(sealers)
