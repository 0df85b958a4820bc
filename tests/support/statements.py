"""Generated statements: a strategy of valid members for every type of the vocabulary."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ledger.statements import STATEMENT_TYPES, Domains, Statement, StatementType
from ledger.types import Address, Bytes32

CONTRACTS = ("ParticipantRegistry", "DatasetRegistry", "AccessGrants", "SharingAgreements", "CheckpointLog")
DOMAINS = Domains(20_261_121, {name: Address(bytes([index + 1]) * 20) for index, name in enumerate(CONTRACTS)})

bytes32s = st.binary(min_size=32, max_size=32).map(Bytes32)
addresses = st.binary(min_size=20, max_size=20).map(Address)
_parents = st.fixed_dictionaries({"dataset": bytes32s, "version": st.integers(0, 2**64 - 1), "registration": bytes32s})
_scalars: dict[str, st.SearchStrategy[Any]] = {
    "bytes32": bytes32s,
    "address": addresses,
    "bytes": st.binary(max_size=200),
    "string": st.from_regex(r"[a-z0-9./é-]{1,60}", fullmatch=True),
    "Parent": _parents,
}


def values_of(kind: str) -> st.SearchStrategy[Any]:
    """Valid Python values of an EIP-712 type."""
    if kind.endswith("[]"):
        return st.lists(values_of(kind[:-2]), max_size=5).map(tuple)
    if kind.startswith("uint"):
        return st.integers(0, 2 ** int(kind[4:]) - 1)
    return _scalars[kind]


def statements_of(statement_type: StatementType) -> st.SearchStrategy[Statement]:
    """Valid statements of one type."""
    members = st.fixed_dictionaries({field.name: values_of(field.type) for field in statement_type.fields})
    return members.map(lambda given: Statement.build(statement_type.name, **given))


any_statement = st.sampled_from(sorted(STATEMENT_TYPES.values(), key=lambda each: each.name)).flatmap(statements_of)
