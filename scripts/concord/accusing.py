"""`concord transfer breach`: what a provider did not deliver, from what a pull or a delivery kept."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ledger.canonical import parse_canonical
from ledger.client import Identity, transfers
from ledger.client import deliveries as delivery_flows
from ledger.client.sealed_files import KeptTransfer, load_state, parse_state
from ledger.errors import LedgerError, MalformedError, NotFoundError
from ledger.evidence import (
    Delivery,
    EventEvidence,
    Evidence,
    ShownChunk,
    parse_event_evidence,
    parse_evidence,
    parse_shown_chunk,
)
from ledger.evidence.documents import expect_object
from ledger.evidence.event_evidence import EVENT_FORMAT
from ledger.evidence.policy import Policy as TrustPolicy
from ledger.types import Bytes32
from scripts.concord.arguments import KeyOption
from scripts.concord.context import Context, context_of
from scripts.concord.exit_codes import finding_out
from scripts.concord.files import check_place, write_file
from scripts.concord.pulling import Gateway, fetch_final
from scripts.concord.statements import load_policy, pins_of

if TYPE_CHECKING:
    from scripts.concord.chain_side import ChainSide

__all__ = ["breach"]

_DELIVERY: Final = re.compile(r"0x[0-9a-fA-F]{64}\Z")
_NAMES: Final = {
    "Sealing": "sealing",
    "TransferReceipt": "receipt",
    "KeyRelease": "release",
    "DatasetRegistration": "registration",
    "DatasetRegistered": "registration",
}


def breach(
    context: typer.Context,
    state: Annotated[
        str,
        typer.Argument(
            metavar="STATE|DELIVERY",
            help="The state.json that an unfinished pull left, or the id of a delivery to your gateway.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the evidence goes.", dir_okay=False)],
    policy: Annotated[Path, typer.Option(help="Your policy.", dir_okay=False)],
    rpc: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A node of your choice, where no key was released, or other data."),
    ] = None,
    tiles: Annotated[
        str | None, typer.Option(metavar="URL|FOLDER", help="With --rpc: a mirror of the log that took the receipt.")
    ] = None,
    given_parts: Annotated[
        list[Path] | None,
        typer.Option(
            "--part",
            metavar="FILE",
            help="Evidence that you have of sealing, receipt, release or registration; repeatable. With the first two "
            "nobody need answer but the node and the mirror.",
            dir_okay=False,
        ),
    ] = None,
    key: KeyOption = None,
) -> None:
    """Did the provider withhold the key to what you receipted, or deliver something else than it registered?

    Writes the evidence, with the private key of this one transfer in it, and judges it. Exit 0: it delivered; 1: it did
    not, and the evidence shows it; 2: not to be told yet. Of data that your gateway received for you, give the
    delivery's id: the gateway has the state, and asks the provider's in your name.
    """
    from scripts.verify_provenance import main  # noqa: PLC0415 - its own program

    given = context_of(context)
    check_place(output)
    pinned = load_policy(policy)
    parts = _read_parts(given_parts or [])
    with finding_out("whether it was delivered"):
        if _DELIVERY.match(state):
            asked: Asked = OfGateway.open(given, Bytes32.parse(state.lower()), pins_of(pinned), parts)
        else:
            asked = OfPull.open(given, Path(state), given.identity(key), pins_of(pinned), parts)
        found = _accuse(asked, pinned, rpc, tiles)
    write_file(output, found.to_bytes())
    given.note(f"what was receipted and what became of it is in {output}")
    node = [] if rpc is None else ["--rpc", rpc]
    judged = main([str(output), "--policy", str(policy), *node, *(["--json"] if given.as_json else [])])
    raise typer.Exit({0: 1, 1: 0}.get(judged, 2))  # what was not delivered is a finding


def _accuse(asked: Asked, policy: TrustPolicy, rpc: str | None, tiles: str | None) -> Delivery:
    from scripts.concord.withholding import (  # noqa: PLC0415 - loads the EVM
        accuse_of_data,
        accuse_of_release,
        accuse_of_silence,
        find_registration,
    )

    with _chain(rpc, policy) as chain:

        def find(sealing: Evidence) -> Evidence | EventEvidence:
            if "registration" in asked.parts:
                return _read_registration(asked.parts["registration"])
            if chain is None:
                raise MalformedError(
                    "the data are not what was registered: --rpc names a node that shows the registration, or --part "
                    "a file with evidence of it"
                )
            return find_registration(sealing, chain, policy)

        if asked.knows_release():
            chunk = asked.wrong_chunk
            if chunk is None:
                return accuse_of_release(asked.fetch, asked.kept.recipient)
            return accuse_of_data(asked.fetch, asked.kept.recipient, chunk, find)
        if chain is None or tiles is None:
            raise MalformedError(
                "no release of the key is known: --rpc and --tiles show what the log holds since the receipt"
            )
        return accuse_of_silence(asked.fetch, asked.kept.recipient, chain, policy, tiles)


def _chain(rpc: str | None, policy: TrustPolicy) -> AbstractContextManager[ChainSide | None]:
    from scripts.concord.chain_side import open_chain  # noqa: PLC0415 - loads the EVM

    return nullcontext() if rpc is None else open_chain(rpc, policy.chain_id)


@dataclass
class Asked:
    """Who is asked about a delivery: what one has oneself, and the provider's gateway, which need not answer."""

    context: Context
    kept: KeptTransfer
    pins: list[tuple[int, int | None]]
    parts: dict[str, bytes]
    spare: dict[str, bytes]
    """what the pull kept, under other pins: for when nobody answers"""
    wrong_chunk: ShownChunk | None
    """what the released key was found not to open to what was registered"""

    def ask(self, part: str) -> bytes:
        """Evidence of a part, from a gateway. Raises: LedgerError."""
        raise NotImplementedError

    def is_released(self) -> bool:
        """Whether there may be a release. Raises: LedgerError."""
        raise NotImplementedError

    def fetch(self, part: str) -> bytes:
        """Evidence of a part: one's own, else the gateway's. Raises: LedgerError."""
        if part not in self.parts:
            try:
                self.parts[part] = fetch_final(lambda: self.ask(part))
            except LedgerError:
                if part not in self.spare:
                    raise
                self.parts[part] = self.spare[part]
        return self.parts[part]

    def knows_release(self) -> bool:
        """Whether there is evidence of a release. A gateway that gives none keeps nobody from showing its silence.

        Raises:
            LedgerError: it can not be found out, and without the gateway there is not enough to go on with.
        """
        if "release" in self.parts:
            return True
        try:
            if not self.is_released():
                return False
            self.fetch("release")
        except LedgerError as error:
            if not {"sealing", "receipt"} <= {*self.parts, *self.spare}:
                raise
            self.context.note(f"the provider's gateway shows no release, so none is known of: {error}")
            return False
        return True


@dataclass
class OfPull(Asked):
    """A pull of one's own, which left its state on the disk."""

    identity: Identity | None = None

    @classmethod
    def open(
        cls,
        context: Context,
        state: Path,
        identity: Identity | None,
        pins: list[tuple[int, int | None]],
        parts: dict[str, bytes],
    ) -> OfPull:
        """What lies beside ``state.json``. Raises: NotFoundError, MalformedError."""
        if not state.is_file():
            raise NotFoundError(f"there is no file {state}: give a pull's state.json, or the id of a delivery")
        sealing, chunk = (state.parent / name for name in (transfers.KEPT_SEALING, transfers.WRONG_CHUNK))
        spare = _read_parts([sealing]) if sealing.is_file() else {}
        wrong = parse_shown_chunk(chunk.read_bytes()) if chunk.is_file() else None
        return cls(context, load_state(state), pins, parts, spare, wrong, identity)

    @cached_property
    def _gateway(self) -> Gateway:
        return Gateway.find(self.context, self.kept.provider, self.identity)

    def ask(self, part: str) -> bytes:
        """From the provider's gateway."""
        return self._gateway.run(transfers.evidence(self.kept.transfer, part, tuple(self.pins)))

    def is_released(self) -> bool:
        """As the provider's gateway tells."""
        return self._gateway.run(transfers.show(self.kept.transfer)).release is not None


@dataclass
class OfGateway(Asked):
    """A delivery to one's gateway, which holds the key that signs, and asks the provider's gateway."""

    delivery: Bytes32 | None = None

    @classmethod
    def open(
        cls, context: Context, delivery: Bytes32, pins: list[tuple[int, int | None]], parts: dict[str, bytes]
    ) -> OfGateway:
        """What the gateway keeps of it. Raises: NotFoundError: no such delivery, or none that is not done; others."""
        kept = parse_state(context.run(delivery_flows.private_state(delivery)), f"the delivery {delivery}")
        try:
            wrong = parse_shown_chunk(context.run(delivery_flows.wrong_chunk(delivery)))
        except NotFoundError:
            wrong = None
        return cls(context, kept, pins, parts, {}, wrong, delivery)

    def ask(self, part: str) -> bytes:
        """From the provider's gateway, by one's own."""
        flow = delivery_flows.evidence(self._id, part, tuple(self.pins))
        return self.context.run(flow)

    def is_released(self) -> bool:
        """Whether the provider's gateway gives evidence of a release."""
        try:
            self.fetch("release")
        except NotFoundError:
            return False
        return True

    @property
    def _id(self) -> Bytes32:
        if self.delivery is None:
            raise RuntimeError("a delivery is opened by its id")
        return self.delivery


def _read_parts(paths: list[Path]) -> dict[str, bytes]:
    found = {}
    for path in paths:
        raw = path.read_bytes()
        name = _NAMES.get(_name_of(raw))
        if name is None:
            raise MalformedError(
                f"{path} is no evidence of a Sealing, TransferReceipt, KeyRelease or DatasetRegistration"
            )
        found[name] = raw
    return found


def _name_of(raw: bytes) -> str:
    document = expect_object(parse_canonical(raw), "the evidence")
    if document.get("format") == EVENT_FORMAT:
        return parse_event_evidence(raw).name
    return parse_evidence(raw).type_name


def _read_registration(raw: bytes) -> Evidence | EventEvidence:
    document = expect_object(parse_canonical(raw), "the evidence")
    if document.get("format") == EVENT_FORMAT:
        return parse_event_evidence(raw)
    return replace(parse_evidence(raw), content=None)  # the chunk's own proofs show what was registered
