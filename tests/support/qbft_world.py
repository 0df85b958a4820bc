"""A `World` whose chain four QBFT validators seal, who vote as a test asks: real headers, seals and extra data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from coincurve import PrivateKey

from ledger.evidence import (
    ChainProof,
    Header,
    PinnedRange,
    Policy,
    compute_block_hash,
    encode_header,
    extend_epochs,
    prove_block,
    prove_event,
)
from ledger.evidence.qbft import ExtraData, normalize_header
from ledger.evidence.rlp import RlpItem, encode_rlp, parse_rlp
from ledger.keccak import keccak256
from ledger.statements import address_of
from ledger.types import Address
from tests.support.evidence_world import Block, Json, World, data_hex, private_key

MIX_HASH = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def validator_keys(*seeds: int) -> list[bytes]:
    """Private keys of validators, in the order of their addresses, as headers name them."""
    return sorted((private_key(5000 + seed) for seed in seeds), key=address_of)


def seal(header: Header, extra: list[RlpItem], keys: Sequence[bytes]) -> list[bytes]:
    """Sign the header with these extra data (no seals yet, round kept)."""
    digest = keccak256(header.with_extra_data(encode_rlp([*extra[:4], []])).to_bytes())
    return [PrivateKey(key).sign_recoverable(digest, hasher=None) for key in keys]


def extra_of(header: Header) -> list[RlpItem]:
    """The parts of the extra data: vanity, validators, vote, round and seals."""
    extra = parse_rlp(header.extra_data)
    assert isinstance(extra, list)
    return extra


def with_seals(raw: bytes, seals: Sequence[bytes], **parts: RlpItem) -> bytes:
    """The header with these seals in place of its own, and other ``validators`` or ``round`` where given."""
    header = Header.parse(raw)
    vanity, validators, vote, number, _ = extra_of(header)
    extra = [vanity, parts.get("validators", validators), vote, parts.get("round", number), list[RlpItem](seals)]
    return header.with_extra_data(encode_rlp(extra)).to_bytes()


def sealed_by(raw: bytes, keys: Sequence[bytes]) -> list[bytes]:
    """Seals of these keys over the header."""
    header = Header.parse(raw)
    return seal(header, extra_of(header), keys)


def malleate(sealed: bytes) -> bytes:
    """The same seal with its other s."""
    s = ORDER - int.from_bytes(sealed[32:64], "big")
    return sealed[:32] + s.to_bytes(32, "big") + bytes([sealed[64] ^ 1])


@dataclass
class SealedWorld(World):
    """Every block but the first is sealed by a quorum; ``vote`` and ``round`` are those of the next block."""

    keys: list[bytes] = field(default_factory=lambda: validator_keys(1, 2, 3, 4))
    round: int = 0

    @property
    def validators(self) -> tuple[Address, ...]:
        return tuple(map(address_of, self.keys))

    def mine(
        self,
        *transactions: list[Json],
        kinds: tuple[int, ...] = (),
        vote: tuple[Address, bytes] | None = None,
        proposer: int = 0,
    ) -> Block:
        """Mine a block, sealed; ``vote`` is a subject and the kind of vote (ff: add, empty: drop)."""
        self.fork_fields = {
            "mixHash": MIX_HASH,
            "miner": data_hex(self.validators[proposer] if self.keys else bytes(20)),
            "baseFeePerGas": "0x0",
        }
        block = super().mine(*transactions, kinds=kinds)
        number = b"" if self.round == 0 else bytes([self.round])
        cast: list[RlpItem] = [] if vote is None else [vote[0], vote[1]]
        extra: list[RlpItem] = [bytes(32), list[RlpItem](self.validators), cast, number, []]
        header = Header.parse(encode_header(block.form))
        if block.number:
            quorum = -(-2 * len(self.keys) // 3)
            extra[4] = list[RlpItem](seal(header, extra, self.keys[-quorum:]))
        block.form["extraData"] = data_hex(encode_rlp(extra))
        block.form["hash"] = str(compute_block_hash(Header.parse(encode_header(block.form))))
        return block

    def vote_out(self, at: int) -> None:
        """Let more than half of the validators vote one out, a block each; the next block has the smaller set."""
        subject = self.validators[at]
        for proposer in [each for each in range(len(self.keys)) if each != at][: len(self.keys) // 2 + 1]:
            self.mine(vote=(subject, b""), proposer=proposer)
        self.keys = self.keys[:at] + self.keys[at + 1 :]

    def headers(self, first: int = 0, last: int | None = None) -> list[bytes]:
        """The headers as RLP, with seals."""
        end = None if last is None else last + 1
        return [encode_header(block.form) for block in self.blocks[first:end]]

    def prove(self, block: Block, receipt: int, position: int) -> ChainProof:
        """Prove an event by the block's seals."""
        return prove_event(block.form, block.receipts, receipt, position, None)

    def pin(self, chain: ChainProof, last: int | None = None) -> ChainProof:
        """The same chain proof, under the root where its epoch is closed by ``last``."""
        header = Header.parse(chain.header)
        epochs = self.policy(last).sealed_epochs
        return self.pin_under(chain, next(each for each in epochs if each.holds(header.number)))

    def pin_under(self, chain: ChainProof, epoch: PinnedRange) -> ChainProof:
        """The same chain proof under an epoch, by seals where that is open."""
        if epoch.last is None:
            return chain
        header = Header.parse(chain.header)
        hashes = [block.hash for block in self.blocks[epoch.first : epoch.last + 1]]
        proof = prove_block(hashes, header.number, first=epoch.first)
        return replace(chain, header=normalize_header(header).to_bytes(), block=proof)

    def policy(self, last: int | None = None) -> Policy:
        """The policy that follows the validators from the genesis block on, up to ``last``."""
        genesis = ExtraData.of(Header.parse(encode_header(self.blocks[0].form)))
        first = PinnedRange(0, None, None, genesis.validators)
        return extend_epochs(replace(super().policy(0), epochs=(first,)), self.headers(0, last))
