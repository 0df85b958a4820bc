"""The five contracts as compiled: their code, and how calls, results, errors and events are encoded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

from eth_abi.abi import encode
from eth_abi.codec import ABIDecoder
from eth_abi.decoding import StringDecoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import BaseEquals, registry

from ledger.chain.abi import NotPlainError, Plan, plan_of
from ledger.chain.advice import ADVICE
from ledger.errors import MalformedError, RefusedError
from ledger.keccak import keccak256
from ledger.statements.vocabulary import Contract as ContractName
from ledger.types import Address, Bytes32

__all__ = ["CONTRACT_NAMES", "Artifact", "ContractName", "decode_refusal", "load_artifact"]

CONTRACT_NAMES: Final[tuple[ContractName, ...]] = (
    "ParticipantRegistry",
    "CheckpointLog",
    "DatasetRegistry",
    "AccessGrants",
    "SharingAgreements",
)
"""In the order in which they are deployed, from the nonces 0 to 4."""

Abi = Mapping[str, Any]

_PANICS: Final = {
    0x01: "assertion failed",
    0x11: "arithmetic overflow",
    0x21: "unknown enum",
    0x32: "index out of range",
}
_ERROR_STRING: Final = keccak256(b"Error(string)")[:4]
_PANIC: Final = keccak256(b"Panic(uint256)")[:4]
_PANIC_BYTES: Final = 4 + 32
_WORD_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class _AnyText(StringDecoder):
    """Reads a string of whatever bytes: a contract does not check UTF-8, and nobody's event may stop the reading."""

    def __init__(self) -> None:
        super().__init__(handle_string_errors="backslashreplace")  # type: ignore[no-untyped-call] # eth_abi has no type

    @staticmethod
    def decoder_fn(data: bytes, handle_string_errors: str = "strict") -> str:
        # Databases take no NUL in text.
        return data.decode("utf-8", errors=handle_string_errors).replace("\0", "\\x00")


def _build_decoder() -> ABIDecoder:
    tolerant = cast("Any", registry).copy()
    tolerant.unregister_decoder("string")
    tolerant.register_decoder(cast("Any", BaseEquals)("string", with_sub=False), _AnyText, label="string")
    return ABIDecoder(tolerant)


_decoder: Final = _build_decoder()


@dataclass(frozen=True)
class _EventForm:
    """How an event is read.

    Attributes:
        names: of its arguments, in order.
        indexed: the arguments in topics, in order; each with its type as a parameter list, or None where the topic is
            the value (of what is dynamic, its hash).
        others: the arguments in the data.
    """

    name: str
    names: tuple[str, ...]
    indexed: tuple[tuple[str, list[Abi] | None], ...]
    others: list[Abi]

    @classmethod
    def of(cls, event: Abi) -> _EventForm:
        """Of an event's ABI."""
        inputs = event["inputs"]
        indexed = [(each["name"], None if _is_word(each["type"]) else [each]) for each in inputs if each["indexed"]]
        others = [each for each in inputs if not each["indexed"]]
        return cls(event["name"], tuple(each["name"] for each in inputs), tuple(indexed), others)


@dataclass(frozen=True)
class Artifact:
    """One compiled contract. Functions by name, errors by selector, events by topic."""

    name: str
    bytecode: bytes
    deployed_bytecode: bytes
    immutable_spans: tuple[tuple[int, int], ...]
    constructor: Abi
    functions: Mapping[str, Abi]
    errors: Mapping[bytes, Abi]
    events: Mapping[Bytes32, Abi]
    _forms: dict[Bytes32, _EventForm] = field(default_factory=dict, repr=False)

    def encode_call(self, function: str, arguments: Mapping[str, object]) -> bytes:
        """Calldata of a function, its arguments by name.

        Raises:
            ValueError: no such function, or other arguments than it takes.
            MalformedError: an argument is not of its type.
        """
        if function not in self.functions:
            raise ValueError(f"{self.name} has no function {function}")
        abi = self.functions[function]
        return _selector(abi) + _encode(f"{self.name}.{function}", abi["inputs"], arguments)

    def encode_creation(self, arguments: Mapping[str, object]) -> bytes:
        """Creation code with the constructor's arguments. Raises: ValueError, MalformedError."""
        return self.bytecode + _encode(f"{self.name}'s constructor", self.constructor.get("inputs", ()), arguments)

    def decode_result(self, function: str, data: bytes) -> tuple[Any, ...]:
        """What a function returned, in order. Raises: MalformedError: the data are not of its types."""
        outputs = self.functions[function]["outputs"]
        return tuple(_decode(outputs, data).values()) if outputs else ()

    def decode_event(self, topics: Sequence[Bytes32], data: bytes) -> tuple[str, dict[str, Any]]:
        """Name and arguments of an event; an indexed string or bytes is its hash.

        A string's bytes that are not UTF-8 stand as ``\\xff``.

        Raises:
            MalformedError: not an event of this contract.
        """
        form = self._form_of(topics[0]) if topics else None
        if form is None:
            raise MalformedError(f"{self.name} emitted an event that this version does not know")
        if len(form.indexed) != len(topics) - 1:
            expected = f"expected {len(form.indexed)}"
            raise MalformedError(f"{self.name}.{form.name} has {len(topics) - 1} topics, {expected}")
        values = _decode(form.others, data)
        for (name, alone), topic in zip(form.indexed, topics[1:], strict=True):
            values[name] = topic if alone is None else _decode(alone, topic)[name]
        return form.name, {name: values[name] for name in form.names}

    def _form_of(self, topic: Bytes32) -> _EventForm | None:
        if topic not in self._forms and topic in self.events:
            self._forms[topic] = _EventForm.of(self.events[topic])
        return self._forms.get(topic)

    def is_same_code(self, code: bytes) -> bool:
        """Whether deployed code is this contract's, whatever its immutables hold."""
        return len(code) == len(self.deployed_bytecode) and self._mask(code) == self._mask(self.deployed_bytecode)

    def _mask(self, code: bytes) -> bytes:
        masked = bytearray(code)
        for start, length in self.immutable_spans:
            masked[start : start + length] = bytes(length)
        return bytes(masked)


@cache
def load_artifact(name: ContractName) -> Artifact:
    """Load a compiled contract from the package."""
    raw = json.loads((files("ledger.chain") / "artifacts" / f"{name}.json").read_text(encoding="utf-8"))
    by_kind: dict[str, list[Abi]] = {}
    for item in raw["abi"]:
        by_kind.setdefault(item["type"], []).append(item)
    return Artifact(
        name=name,
        bytecode=bytes.fromhex(raw["bytecode"].removeprefix("0x")),
        deployed_bytecode=bytes.fromhex(raw["deployedBytecode"].removeprefix("0x")),
        immutable_spans=tuple((span["start"], span["length"]) for span in raw["immutableReferences"]),
        constructor=by_kind.get("constructor", [{}])[0],
        functions={item["name"]: item for item in by_kind.get("function", ())},
        errors={_selector(item): item for item in by_kind.get("error", ())},
        events={Bytes32(keccak256(_signature(item))): item for item in by_kind.get("event", ())},
    )


@cache
def _all_errors() -> Mapping[bytes, Abi]:
    return {selector: abi for name in CONTRACT_NAMES for selector, abi in load_artifact(name).errors.items()}


def decode_refusal(data: bytes) -> RefusedError:
    """The refusal that a contract's revert data say: Solidity's custom errors, ``require`` and panics.

    A custom error's code is the kebab form of its name, its facts are the arguments by name: numbers as int, bytes as
    0x-hex, structs as dicts.
    """
    abi = _all_errors().get(data[:4])
    if abi is not None:
        try:
            facts = {name: _to_fact(value) for name, value in _decode(abi["inputs"], data[4:]).items()}
        except MalformedError:
            facts = {"data": "0x" + data.hex()}
        words = _WORD_BOUNDARY.sub("-", abi["name"]).lower()
        return RefusedError(_sentence(abi["name"], facts), code=words, facts=facts)
    if data[:4] == _ERROR_STRING:
        return RefusedError("the contract refused it without a known reason", code="evm-reverted", facts=_text_of(data))
    if data[:4] == _PANIC and len(data) == _PANIC_BYTES:
        number = int.from_bytes(data[4:], "big")
        reason = _PANICS.get(number, f"panic {number:#x}")
        return RefusedError(f"the contract stopped: {reason}", code="evm-panic", facts={"panic": number})
    return RefusedError(
        "the contract refused it without a known reason", code="evm-reverted", facts={"data": "0x" + data.hex()}
    )


def _sentence(error_name: str, facts: Mapping[str, object]) -> str:
    contract = next((name for name in CONTRACT_NAMES if error_name.startswith(name)), "")
    words = _WORD_BOUNDARY.sub(" ", error_name.removeprefix(contract)).lower()
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    facts_told = f" ({told})" if told else ""
    advice = f": {ADVICE[error_name]}" if error_name in ADVICE else ""
    return f"{contract or 'the contract'} refused it: {words}{facts_told}{advice}"


def _text_of(data: bytes) -> dict[str, object]:
    try:
        return {"reason": _decoder.decode(["string"], data[4:])[0]}
    except DecodingError:
        return {"data": "0x" + data.hex()}


def _to_fact(value: Any) -> object:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return {name: _to_fact(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_to_fact(item) for item in value]
    return cast("object", value)


# ABI types, from the JSON form (https://docs.soliditylang.org/en/latest/abi-spec.html)


def _type_of(item: Abi) -> str:
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(_type_of(each) for each in item["components"]) + ")" + kind.removeprefix("tuple")


def _signature(item: Abi) -> bytes:
    return f"{item['name']}({','.join(_type_of(each) for each in item['inputs'])})".encode()


def _selector(item: Abi) -> bytes:
    return keccak256(_signature(item))[:4]


_plans: Final[dict[int, tuple[Sequence[Abi], Plan | None]]] = {}


def _cached_plan(items: Sequence[Abi]) -> Plan:
    """The plan of a parameter list that lives as long as its artifact. Raises: NotPlainError: there is none."""
    known = _plans.get(id(items))
    if known is None:
        try:
            known = items, plan_of(items)
        except NotPlainError:
            known = items, None
        _plans[id(items)] = known  # kept with the list, so that its id stays its own
    if known[1] is None:
        raise NotPlainError("no plan")
    return known[1]


def _is_word(kind: str) -> bool:
    """Whether a topic of this type stands for itself; of what is dynamic it is the hash."""
    return kind in {"bytes32", "string", "bytes"} or kind.endswith("]") or kind.startswith("tuple")


def _encode(what: str, inputs: Sequence[Abi], arguments: Mapping[str, object]) -> bytes:
    names = [each["name"] for each in inputs]
    if sorted(names) != sorted(arguments):
        raise ValueError(f"{what} takes {', '.join(names)}; given: {', '.join(arguments)}")
    with suppress(NotPlainError):
        return _cached_plan(inputs).write(arguments)
    try:
        values = [_to_abi(each, arguments[each["name"]]) for each in inputs]
        return bytes(encode([_type_of(each) for each in inputs], values))
    except (EncodingError, KeyError, TypeError) as error:
        raise MalformedError(f"{what}: an argument is not of its type: {error}") from error


def _to_abi(item: Abi, value: Any) -> Any:
    """Structs as tuples in the order of their members; everything else as eth_abi takes it."""
    kind: str = item["type"]
    if kind.endswith("[]"):
        return [_to_abi({**item, "type": kind[:-2]}, each) for each in value]
    if kind == "tuple":
        members = item["components"]
        if sorted(value) != sorted(each["name"] for each in members):
            raise TypeError(f"{item['name']} has the members {', '.join(each['name'] for each in members)}")
        return tuple(_to_abi(each, value[each["name"]]) for each in members)
    return bytes(value) if isinstance(value, bytes) else value


def _decode(items: Sequence[Abi], data: bytes) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", _cached_plan(items).read(data, 0))
    except NotPlainError:
        return _decode_anything(items, data)


def _decode_anything(items: Sequence[Abi], data: bytes) -> dict[str, Any]:
    try:
        values = _decoder.decode([_type_of(each) for each in items], data)
    except (DecodingError, OverflowError) as error:
        raise MalformedError(f"not ABI-encoded as expected: {error}") from error
    return {
        each["name"] or str(index): _from_abi(each, value)
        for index, (each, value) in enumerate(zip(items, values, strict=True))
    }


def _from_abi(item: Abi, value: Any) -> Any:
    kind: str = item["type"]
    if kind.endswith("[]"):
        return tuple(_from_abi({**item, "type": kind[:-2]}, each) for each in value)
    if kind == "tuple":
        return {each["name"]: _from_abi(each, part) for each, part in zip(item["components"], value, strict=True)}
    if kind == "address":
        return Address.parse(value.lower())
    return Bytes32(value) if kind == "bytes32" else value
