"""Key files: written whole and private, read strictly."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json

from ledger.errors import ConflictError, MalformedError, NotFoundError, VerificationError
from ledger.keyfiles import (
    WrongPassphraseError,
    ensure_key_file,
    read_key_file,
    write_key_file,
    write_private_file,
)
from ledger.statements import address_of, generate_private_key

KEY = bytes(range(1, 33))
WORDS = "correct horse ✓"


def written(path: Path) -> dict[str, Any]:
    write_key_file(path, KEY, WORDS, kdf_cost=2)
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def test_a_key_comes_back_and_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key.json"
    document = written(path)
    assert read_key_file(path, WORDS) == KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert document["version"] == 3
    assert KEY.hex() not in path.read_text()
    assert [each.name for each in path.parent.iterdir()] == ["key.json"]


def test_the_format_is_the_one_of_other_ethereum_programs(tmp_path: Path) -> None:
    document = written(tmp_path / "ours.json")
    assert decode_keyfile_json(document, WORDS.encode()) == KEY
    for kdf, cost in (("scrypt", 2), ("pbkdf2", 1)):
        theirs = tmp_path / f"{kdf}.json"
        made = create_keyfile_json(KEY, WORDS.encode(), version=3, kdf=kdf, iterations=cost)  # type: ignore[arg-type]  # a word of their Literal
        theirs.write_text(json.dumps(made))
        assert read_key_file(theirs, WORDS) == KEY


def test_another_passphrase_is_told_apart_from_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    document = written(path)
    with pytest.raises(WrongPassphraseError, match=r"key\.json does not open: check the passphrase"):
        read_key_file(path, "another")
    iv = document["crypto"]["cipherparams"]["iv"]
    document["crypto"]["cipherparams"]["iv"] = iv[:-1] + ("0" if iv[-1] != "0" else "1")
    path.write_text(json.dumps(document))
    with pytest.raises(VerificationError, match="it holds another key than it names") as found:
        read_key_file(path, WORDS)
    assert not isinstance(found.value, WrongPassphraseError)
    assert found.value.expected == address_of(KEY).hex()


def test_a_file_without_an_address_is_read(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    document = written(path)
    del document["address"]
    path.write_text(json.dumps(document))
    assert read_key_file(path, WORDS) == KEY


def changed(document: dict[str, Any], *names: str, to: object) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    inner = copy
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = to
    return copy


def test_what_is_no_version_3_file_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    document = written(path)
    for bad in (
        b"", b"{", b"\xff", b"[]", b"3", b"{}",
        *(
            json.dumps(changed(document, *where, to=value)).encode()
            for where, value in (
                (("version",), 4), (("crypto",), None), (("crypto",), {}), (("crypto", "cipher"), "aes-256-ctr"),
                (("crypto", "kdf"), "argon2"), (("crypto", "ciphertext"), "zz"), (("crypto", "kdfparams", "n"), 3),
                (("crypto", "kdfparams", "n"), "many"), (("crypto", "mac"), 5),
            )
        ),
    ):  # fmt: skip
        path.write_bytes(bad)
        with pytest.raises(MalformedError, match="not a version 3 key file"):
            read_key_file(path, WORDS)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no key file nothing\.json"):
        read_key_file(tmp_path / "nothing.json", WORDS)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    written(path)
    before = path.read_bytes()
    with pytest.raises(ConflictError) as found:
        write_key_file(path, generate_private_key(), WORDS, kdf_cost=2)
    assert found.value.code == "key-exists"
    with pytest.raises(ConflictError):
        write_private_file(path, b"other")
    assert path.read_bytes() == before


def test_what_an_interrupted_writing_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "key.json.new").write_bytes(b"half")
    written(tmp_path / "key.json")
    assert [each.name for each in tmp_path.iterdir()] == ["key.json"]


def test_a_key_is_drawn_once(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    drawn = ensure_key_file(path, WORDS, kdf_cost=2)
    assert ensure_key_file(path, WORDS, kdf_cost=2) == drawn == read_key_file(path, WORDS)
    with pytest.raises(WrongPassphraseError):
        ensure_key_file(path, "another", kdf_cost=2)
