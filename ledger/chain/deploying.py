"""Putting the contracts on a chain, so that it may be killed at any moment and simply run again.

The contracts' addresses follow from a fresh deployer's nonces 0 to 4. Each step first looks whether its contract is
there, and signing is deterministic: a step that was interrupted sends the same bytes again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.chain.contracts import CONTRACT_NAMES, ContractName, load_artifact
from ledger.chain.deployment import Deployment, founding_head, predict_addresses, predict_domains
from ledger.chain.edge import ChainEdge
from ledger.chain.founding import Founding, check_foundings
from ledger.chain.reads import ContractReader, ParticipantStatus
from ledger.chain.refusals import Refusal, RefusalKind
from ledger.chain.transactions import Signer
from ledger.errors import ConflictError, RefusedError, UnavailableError
from ledger.types import Address

__all__ = ["deploy"]

_GAS_LIMIT: Final = 7_500_000
_GAS_PER_FOUNDER: Final = 500_000
_POLL_S: Final = 0.2
_CONSTRUCTOR: Final[Mapping[ContractName, Mapping[str, ContractName]]] = {
    "CheckpointLog": {"registry_": "ParticipantRegistry"},
    "DatasetRegistry": {"registry_": "ParticipantRegistry", "checkpointLog_": "CheckpointLog"},
    "AccessGrants": {"registry_": "ParticipantRegistry", "datasetRegistry_": "DatasetRegistry"},
    "SharingAgreements": {"registry_": "ParticipantRegistry"},
}


@dataclass(frozen=True)
class _Run:
    edge: ChainEdge
    deployer: Signer
    addresses: Mapping[str, Address]
    deadline: float
    report: Callable[[str], None]


def deploy(
    edge: ChainEdge,
    deployer: Signer,
    foundings: Sequence[Founding],
    threshold: int,
    *,
    timeout_s: float = 300.0,
    report: Callable[[str], None] = lambda _: None,
) -> Deployment:
    """Deploy the five contracts, or finish or find what an earlier run began.

    ``deployer`` is an account that has never sent a transaction and will send no other; ``report`` is told each step.

    Raises:
        MalformedError: the founding is not well formed.
        VerificationError: a founder's signature is of another key, chain or deployer.
        ConflictError: the node runs another chain (``wrong-chain``), or the deployer's nonces or addresses are used by
            something else (``deployer-used``, ``other-code``, ``other-founding``).
        RefusedError: the constructor or the network refuses.
        UnavailableError: the node does not answer or does not mine in time: run it again.
    """
    check_foundings(predict_domains(edge.settings.chain_id, deployer.address), foundings, threshold)
    edge.check_chain_id()
    run = _Run(edge, deployer, predict_addresses(deployer.address), time.monotonic() + timeout_s, report)
    for nonce, name in enumerate(CONTRACT_NAMES):
        _ensure_contract(run, name, nonce, _creation_code(run, name, foundings, threshold))
    _check_founders(run, foundings)
    return _describe(run)


def _creation_code(run: _Run, name: ContractName, foundings: Sequence[Founding], threshold: int) -> bytes:
    if name == "ParticipantRegistry":
        founders = [
            {
                "application": founding.application.message,
                "controlSignature": founding.control_signature,
                "keySignature": founding.key_signature,
            }
            for founding in foundings
        ]
        return load_artifact(name).encode_creation({"founders": founders, "threshold_": threshold})
    return load_artifact(name).encode_creation(
        {argument: run.addresses[other] for argument, other in _CONSTRUCTOR[name].items()}
    )


def _ensure_contract(run: _Run, name: ContractName, nonce: int, creation_code: bytes) -> None:
    if _is_deployed(run, name):
        run.report(f"{name} is there: {run.addresses[name]}")
        return
    spent = run.edge.nonce(run.deployer.address)
    if spent != nonce:
        raise ConflictError(
            f"the deployer {run.deployer.address} has sent {spent} transactions and {name} is not at its address: the "
            "account was used for something else. Take a fresh one; founders sign again, for their signatures name it",
            code="deployer-used",
        )
    # Without a gas limit in it the simulation would hide a network whose blocks are too small.
    gas_limit = _GAS_LIMIT + (_GAS_PER_FOUNDER * 16 if name == "ParticipantRegistry" else 0)
    run.edge.call(None, creation_code, sender=run.deployer.address, gas_limit=gas_limit)
    transaction = run.edge.sign_creation(run.deployer, creation_code, nonce, gas_limit)
    run.report(f"{name}: sending {transaction.hash}")
    while True:
        refusal = run.edge.send([transaction])[0]
        if refusal is not None:
            _judge(name, refusal)
        if _wait(run, name):
            run.report(f"{name} is deployed: {run.addresses[name]}")
            return


def _judge(name: ContractName, refusal: Refusal) -> None:
    """Raise unless waiting, or sending the same bytes again, may help."""
    if refusal.kind.is_certain or refusal.kind.needs_operator or refusal.kind is RefusalKind.REPLACEMENT_UNDERPRICED:
        raise RefusedError(
            f"the network refuses the creation of {name}: {refusal.message}",
            code=f"transaction-{refusal.kind.value}",
            facts={"contract": name},
        )


def _wait(run: _Run, name: ContractName) -> bool:
    """Wait for some seconds; whether the contract is there."""
    for _ in range(25):
        if _is_deployed(run, name):
            return True
        if time.monotonic() > run.deadline:
            raise UnavailableError(f"{name} is in no block yet: check that the network mines, then run it again")
        if run.edge.nonce(run.deployer.address) > CONTRACT_NAMES.index(name) and not _is_deployed(run, name):
            raise RefusedError(
                f"the creation of {name} failed in its block: a founder is refused, or the network allows too "
                "little gas",
                code="creation-failed",
                facts={"contract": name},
            )
        time.sleep(_POLL_S)
    return False


def _is_deployed(run: _Run, name: ContractName) -> bool:
    code = run.edge.code(run.addresses[name])
    if code and not load_artifact(name).is_same_code(code):
        raise ConflictError(
            f"the code at {run.addresses[name]} is not this version's {name}: deploy with the version that began it, "
            "or take a fresh deployer",
            code="other-code",
        )
    return bool(code)


def _check_founders(run: _Run, foundings: Sequence[Founding]) -> None:
    """Check that the registry that was found was founded by these."""
    reader = ContractReader(run.edge, run.addresses)
    for founding in foundings:
        if reader.status_of(founding.application.participant) is ParticipantStatus.NONE:
            raise ConflictError(
                f"the registry at {run.addresses['ParticipantRegistry']} was founded without participant "
                f"{founding.application.participant}: give the founding that began it",
                code="other-founding",
            )


def _describe(run: _Run) -> Deployment:
    registry = run.addresses["ParticipantRegistry"]
    number = _find_creation(run.edge, registry)
    block = run.edge.block(number)
    head = founding_head(block, registry) if block else None
    if block is None or head is None:
        raise UnavailableError(f"block {number} no longer shows the registry's creation: run it again")
    return Deployment(
        chain_id=run.edge.settings.chain_id,
        genesis_hash=run.edge.genesis_hash,
        contracts=dict(run.addresses),
        code_hashes={name: run.edge.code_hash(address) for name, address in run.addresses.items()},
        deployment_block=number,
        deployment_block_hash=block.hash,
        history_head=head,
    )


def _find_creation(edge: ChainEdge, address: Address) -> int:
    """The first block after which there is code at ``address``, by halving."""
    low, high = 0, edge.head().number
    while low < high:
        middle = (low + high) // 2
        if edge.code(address, middle):
            high = middle
        else:
            low = middle + 1
    return low
