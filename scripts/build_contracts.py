#!/usr/bin/env python3
"""Build the contracts: generate their statement types, compile them, write the artifacts.

    build_contracts.py            write contracts/src/types/, the digest harness and every artifact
    build_contracts.py --types    write the generated Solidity alone (needs no compiler)
    build_contracts.py --check    write nothing; exit 1 and name each file that a build would change

The types come from ``ledger/statements/vocabulary.py``, the compiler's settings from ``contracts/foundry.toml``, the
compiler itself from npm (``make contracts`` installs it), driven by py-solc-x through ``contracts/solc.js``.
Exit 0: built, or nothing to change; 1: differences found; 2: the compiler is missing or refused the sources.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import posixpath
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import solcx
from solcx.exceptions import SolcError

from ledger.statements.vocabulary import (
    PARENT,
    STATEMENT_TYPES,
    Choice,
    Custody,
    Decision,
    Field,
    HistoryKind,
    Resource,
    StatementType,
)

ROOT: Final = Path(__file__).resolve().parents[1]
CONTRACTS: Final = ROOT / "contracts"
PRODUCT_ARTIFACTS: Final = ROOT / "ledger" / "chain" / "artifacts"
HARNESS_ARTIFACTS: Final = ROOT / "tests" / "contracts" / "artifacts"
HARNESS_PATH: Final = "test/harness/DigestHarness.sol"

_DEPLOYED: Final = ("ParticipantRegistry", "CheckpointLog", "DatasetRegistry", "AccessGrants", "SharingAgreements")
_HARNESSES: Final = ("DigestHarness", "Rfc6962Harness")
_OPENZEPPELIN: Final = "@openzeppelin/contracts/"
_IMPORT: Final = re.compile(r'^import\s[^"]*"([^"]+)";', re.MULTILINE)
_PARENT_TYPE: Final = "Parent"
_IN_MEMORY: Final = "ParticipantApplication"  # a constructor takes founders, and it has no calldata
_ENCODED_AT_ONCE: Final = 8  # more stack slots than this in one abi.encode and the compiler gives up
_HEADER: Final = """\
// SPDX-License-Identifier: Apache-2.0
// Generated from ledger/statements/vocabulary.py by scripts/build_contracts.py. Do not edit.
pragma solidity 0.8.37;
"""


class BuildError(Exception):
    """The contracts can not be built here; the text says what to do."""


# --- Solidity from the vocabulary ------------------------------------------------------------------------------------


def _members(fields: tuple[Field, ...], separator: str) -> str:
    return separator.join(f"{field.type} {field.name}" for field in fields)


def _has_parents(kind: StatementType) -> bool:
    return any(field.type.startswith(_PARENT_TYPE) for field in kind.fields)


def _type_string(kind: StatementType) -> str:
    """The EIP-712 encodeType of ``kind``, nested types after it."""
    nested = f"{_PARENT_TYPE}({_members(PARENT, ',')})" if _has_parents(kind) else ""
    return f"{kind.name}({_members(kind.fields, ',')}){nested}"


def _constant_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper() + "_TYPEHASH"


def _is_static(kind: StatementType) -> bool:
    return not any(field.type in ("string", "bytes") or field.type.endswith("[]") for field in kind.fields)


def _encoded_member(field: Field) -> str:
    """One member as EIP-712's encodeData has it."""
    member = f"statement.{field.name}"
    if field.type == f"{_PARENT_TYPE}[]":
        return f"_hashParents({member})"
    if field.type.endswith("[]"):
        return f"keccak256(abi.encodePacked({member}))"
    if field.type == "string":
        return f"keccak256(bytes({member}))"
    return f"keccak256({member})" if field.type == "bytes" else member


def _struct(name: str, fields: tuple[Field, ...], doc: str) -> str:
    lines = "\n".join(f"    {field.type} {field.name}; // {field.doc}" for field in fields)
    return f"// {doc}\nstruct {name} {{\n{lines}\n}}\n"


def _hash_expression(kind: StatementType) -> str:
    words = [_constant_name(kind.name), *(_encoded_member(field) for field in kind.fields)]
    chunks = [words[at : at + _ENCODED_AT_ONCE] for at in range(0, len(words), _ENCODED_AT_ONCE)]
    encoded = ", ".join(f"abi.encode({', '.join(chunk)})" for chunk in chunks)
    return f"keccak256(bytes.concat({encoded}))"


def _hash_function(kind: StatementType) -> str:
    if kind.name == _IN_MEMORY:
        return (
            f"    function hash({kind.name} memory statement) internal pure returns (bytes32) {{\n"
            f"        return keccak256(abi.encode({_constant_name(kind.name)}, statement));\n    }}\n"
        )
    signature = f"    function hash({kind.name} calldata statement) internal pure returns (bytes32"
    if not _is_static(kind):
        return f"{signature}) {{\n        return {_hash_expression(kind)};\n    }}\n"
    return f"{signature} structHash) {{\n{_static_hash_body(kind)}    }}\n"


def _static_hash_body(kind: StatementType) -> str:
    """A static struct lies in calldata as EIP-712 encodes it. (A member out of range: a digest that nobody signed.)"""
    size_bytes = 32 * len(kind.fields)
    return (
        f"        bytes32 typeHash = {_constant_name(kind.name)};\n"
        '        assembly ("memory-safe") {\n'
        "            let words := mload(0x40)\n"
        "            mstore(words, typeHash)\n"
        f"            calldatacopy(add(words, 0x20), statement, {size_bytes})\n"
        f"            structHash := keccak256(words, {size_bytes + 32})\n"
        "        }\n"
    )


def _parents_function() -> str:
    return (
        f"    function _hashParents({_PARENT_TYPE}[] calldata parents) private pure returns (bytes32) {{\n"
        "        bytes32[] memory hashes = new bytes32[](parents.length);\n"
        "        for (uint256 i = 0; i < parents.length; ++i) {\n"
        "            hashes[i] = keccak256(abi.encode(PARENT_TYPEHASH, parents[i]));\n"
        "        }\n"
        "        return keccak256(abi.encodePacked(hashes));\n    }\n"
    )


def _types_file(library: str, kinds: list[StatementType]) -> str:
    """One file: the structs, and a library with their type hashes and ``hash`` functions."""
    with_parents = any(_has_parents(kind) for kind in kinds)
    parts = [_HEADER]
    if with_parents:
        parts.append(_struct(_PARENT_TYPE, PARENT, "A version that another is derived from."))
    parts += [_struct(kind.name, kind.fields, kind.doc) for kind in kinds]
    constants = [(_constant_name(kind.name), _type_string(kind)) for kind in kinds]
    if with_parents:
        constants.insert(0, ("PARENT_TYPEHASH", f"{_PARENT_TYPE}({_members(PARENT, ',')})"))
    body = [f'    bytes32 internal constant {name} =\n        keccak256("{text}");\n' for name, text in constants]
    body += [_hash_function(kind) for kind in kinds]
    if with_parents:
        body.append(_parents_function())
    parts.append(f"library {library} {{\n" + "\n".join(body) + "}\n")
    return "\n".join(parts)


def _enumerations_file() -> str:
    parts = [_HEADER]
    enumerations: tuple[type[IntEnum], ...] = (Choice, Custody, Decision, HistoryKind, Resource)
    for enumeration in enumerations:
        lines = "".join(f"    uint8 internal constant {each.name} = {each.value};\n" for each in enumeration)
        parts.append(f"library {enumeration.__name__} {{\n{lines}}}\n")
    return "\n".join(parts)


def _libraries() -> dict[str, list[StatementType]]:
    """Statement types by the library that holds them: one a contract, and one for what logs alone keep."""
    found: dict[str, list[StatementType]] = {}
    for kind in STATEMENT_TYPES.values():
        found.setdefault(f"{kind.contract}Types" if kind.function else "LogOnlyTypes", []).append(kind)
    return found


def _harness_file() -> str:
    """A test contract that answers with the digest of any statement, its own address in the domain."""
    imports = ['import {StatementExecutor} from "../../src/StatementExecutor.sol";\n']
    functions = []
    for library, kinds in sorted(_libraries().items()):
        names = ", ".join(sorted([library, *(kind.name for kind in kinds)], key=str.lower))
        imports.append(f'import {{{names}}} from "../../src/types/{library}.sol";\n')
        functions += [
            f"    function digestOf{kind.name}({kind.name} calldata statement) external view returns (bytes32) {{\n"
            f"        return _digestOf({library}.hash(statement));\n    }}\n"
            for kind in kinds
        ]
    body = "\n".join(functions)
    return f"{_HEADER}\n{''.join(imports)}\ncontract DigestHarness is StatementExecutor {{\n{body}}}\n"


def generated_sources() -> dict[Path, str]:
    """Every generated Solidity file, by its path."""
    types = CONTRACTS / "src" / "types"
    files = {types / f"{library}.sol": _types_file(library, kinds) for library, kinds in _libraries().items()}
    files[types / "Enumerations.sol"] = _enumerations_file()
    files[CONTRACTS / HARNESS_PATH] = _harness_file()
    return files


# --- Artifacts from Solidity -----------------------------------------------------------------------------------------


def _source_text(unit: str, generated: Mapping[Path, str]) -> str:
    path = CONTRACTS / "node_modules" / unit if unit.startswith(_OPENZEPPELIN) else CONTRACTS / unit
    if path in generated:
        return generated[path]
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BuildError(f"no Solidity source {unit}: run `make contracts`, which installs what it needs") from error


def _sources(roots: list[str], generated: Mapping[Path, str]) -> dict[str, dict[str, str]]:
    """``roots`` and everything that they import, as standard JSON takes it."""
    found: dict[str, dict[str, str]] = {}
    waiting = list(roots)
    while waiting:
        unit = waiting.pop()
        if unit in found:
            continue
        text = _source_text(unit, generated)
        found[unit] = {"content": text}
        for target in _IMPORT.findall(text):
            relative = target.startswith(".")
            waiting.append(posixpath.normpath(posixpath.join(posixpath.dirname(unit), target)) if relative else target)
    return dict(sorted(found.items()))


def _settings() -> dict[str, Any]:
    profile = tomllib.loads((CONTRACTS / "foundry.toml").read_text(encoding="utf-8"))["profile"]["default"]
    outputs = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"]
    return {
        "evmVersion": profile["evm_version"],
        "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
        "viaIR": profile["via_ir"],
        "metadata": {"bytecodeHash": profile["bytecode_hash"], "appendCBOR": profile["cbor_metadata"]},
        "outputSelection": {"*": {"*": outputs}},
    }


def _compile(sources: Mapping[str, Mapping[str, str]], settings: Mapping[str, Any]) -> dict[str, Any]:
    request = {"language": "Solidity", "sources": sources, "settings": settings}
    try:
        answer: dict[str, Any] = solcx.compile_standard(request, solc_binary=CONTRACTS / "solc.js")
    except SolcError as error:
        raise BuildError(f"the compiler refused the sources:\n{error}") from error
    except OSError as error:
        raise BuildError("the compiler did not start: install Node 20 and run `make contracts`") from error
    warnings = [each["formattedMessage"] for each in answer.get("errors", []) if _is_ours(each)]
    if warnings:
        raise BuildError("warnings are errors:\n" + "\n".join(warnings))
    return answer


def _is_ours(message: Mapping[str, Any]) -> bool:
    place = message.get("sourceLocation") or {}
    return not str(place.get("file", "")).startswith(_OPENZEPPELIN)


def _artifact(name: str, unit: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """One artifact: canonical JSON, nothing in it that depends on the machine."""
    compiled, code = unit[name], unit[name]["evm"]["deployedBytecode"]
    version = json.loads((CONTRACTS / "package.json").read_text(encoding="utf-8"))["devDependencies"]["solc"]
    places: list[dict[str, int]] = [place for each in code["immutableReferences"].values() for place in each]
    described = {"compiler": version, "settings": {k: v for k, v in settings.items() if k != "outputSelection"}}
    document = {
        "contractName": name,
        "abi": compiled["abi"],
        "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + code["object"],
        "immutableReferences": sorted(places, key=lambda place: place["start"]),
        **described,
        "settingsDigest": hashlib.sha256(_canonical(described).encode()).hexdigest(),
    }
    return _canonical(document) + "\n"


def _canonical(document: object) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def built_artifacts(generated: Mapping[Path, str]) -> dict[Path, str]:
    """Compile every contract and harness; artifacts by path.

    Raises:
        BuildError: no compiler, or it refused the sources.
    """
    places = [(name, f"src/{name}.sol", PRODUCT_ARTIFACTS) for name in _DEPLOYED]
    places += [(name, f"test/harness/{name}.sol", HARNESS_ARTIFACTS) for name in _HARNESSES]
    settings = _settings()
    answer = _compile(_sources([unit for _, unit, _ in places], generated), settings)
    return {
        folder / f"{name}.json": _artifact(name, answer["contracts"][unit], settings) for name, unit, folder in places
    }


# --- The program -----------------------------------------------------------------------------------------------------


def _differences(files: Mapping[Path, str]) -> Iterator[str]:
    for path, text in sorted(files.items()):
        if not path.exists():
            yield f"missing: {path.relative_to(ROOT)}"
        elif path.read_text(encoding="utf-8") != text:
            yield f"differs: {path.relative_to(ROOT)}"


def _write(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(description="Build the contracts.", allow_abbrev=False)
    parser.add_argument("--types", action="store_true", help="write the generated Solidity alone")
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    chosen = parser.parse_args(arguments)
    generated = generated_sources()
    try:
        files = generated if chosen.types else {**generated, **built_artifacts(generated)}
    except BuildError as error:
        print(f"build_contracts: {error}", file=sys.stderr)
        return 2
    differences = list(_differences(files))
    if chosen.check:
        print("\n".join(differences) or f"{len(files)} files as built")
        return 1 if differences else 0
    _write(files)
    print(f"wrote {len(files)} files, {len(differences)} of them changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
