"""The `concord` command as a member of a served consortium runs it, within this process."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main

from ledger.client import LocalKey
from ledger.keyfiles import write_key_file
from ledger.statements import address_of, generate_private_key
from scripts.concord import main
from tests.support.world import PASSPHRASE, Member, World

__all__ = ["Console", "Ran", "draw_key_file"]


_get_command: Final = cache(typer.main.get_command)
"""A process builds its tree of commands for the one command that it runs; here it is built once for all of them."""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with --json."""
        return json.loads(self.out)

    @property
    def problem(self) -> Any:
        """The error that it printed with --json."""
        return json.loads(self.err)


def draw_key_file(path: Path) -> LocalKey:
    """A new key in a file that opens fast."""
    private_key = generate_private_key()
    write_key_file(path, private_key, PASSPHRASE, kdf_cost=2)
    assert address_of(private_key) == LocalKey(private_key).address
    return LocalKey(private_key)


@dataclass
class Console:
    """Runs commands with the environment of one who has the consortium's document and an API key."""

    world: World
    folder: Path
    patch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        for name in ("CONCORD_KEY", "CONCORD_API_KEY", "_CONCORD_COMPLETE"):
            self.patch.delenv(name, raising=False)
        self.patch.setattr(typer.main, "get_command", _get_command)
        self.patch.setenv("CONCORD_URL", self.world.url)
        self.patch.setenv("CONCORD_PASSPHRASE", PASSPHRASE)
        self.patch.setenv("CONCORD_CONSORTIUM", str(self.folder / "consortium.json"))
        if not (self.folder / "consortium.json").exists():
            assert self.run("join", "import").code == 0

    def run(self, *arguments: object) -> Ran:
        """Run the command as it is configured."""
        self.patch.setattr(sys, "argv", ["concord", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, out, err)

    def be(self, who: Member | str) -> None:
        """Hold the API key and the signing key of a member, or the API key of a founder by handle."""
        if isinstance(who, str):
            self.patch.setenv("CONCORD_API_KEY", self.world.founded.api_keys[who])
            self.patch.delenv("CONCORD_KEY", raising=False)
            return
        self.patch.setenv("CONCORD_API_KEY", who.token)
        self.patch.setenv("CONCORD_KEY", str(self.key_file(who.signing, f"{who.handle}-signing")))

    def key_file(self, key: LocalKey, name: str) -> Path:
        """The file of a key."""
        path = self.folder / f"{name}.key"
        if not path.exists():
            write_key_file(path, key._private_key, PASSPHRASE, kdf_cost=2)
        return path

    def governor(self, handle: str) -> Path:
        """A founder's control key file."""
        return self.world.founded.key_files[f"{handle}/control"]

    def ok(self, who: Member | str, *arguments: object) -> str:
        """What a command prints that is done."""
        self.be(who)
        ran = self.run(*arguments)
        assert (ran.code, ran.err) == (0, ""), f"{arguments}: {ran}"
        return ran.out

    def ok_quietly(self, *arguments: object) -> str:
        """What a command prints that tells its steps beside, and is done."""
        ran = self.run(*arguments)
        assert ran.code == 0, f"{arguments}: {ran}"
        return ran.out

    def answer(self, who: Member | str, *arguments: object) -> Any:
        """What a command prints with --json."""
        return json.loads(self.ok(who, *arguments, "--json"))

    def fail(self, who: Member | str, code: int, words: str, *arguments: object) -> None:
        """A command ends with this exit code and a sentence that says ``words``, and prints nothing else."""
        self.be(who)
        ran = self.run(*arguments)
        assert (ran.code, ran.out) == (code, ""), f"{arguments}: {ran}"
        assert words in ran.err, ran.err
        assert ran.err.startswith("concord: ")
        assert "Traceback" not in ran.err
