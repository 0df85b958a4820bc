"""Who takes part: governors, enterprises with their own keys, an auditor, and a stranger."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from ledger.client import Client, Identity, LocalKey, operations, parse_domains
from ledger.keyfiles import read_key_file
from ledger.statements import Domains, address_of, generate_private_key
from scripts.demo.chain_choice import EMBEDDED, DemoChain
from scripts.demo.service import CommandFailedError, run_concord
from scripts.demo.state import read_state, write_state

__all__ = [
    "ENTERPRISES",
    "Cast",
    "Enterprise",
    "found_consortium",
    "hand_out_api_keys",
    "load_cast",
    "note_admitted",
]

ENTERPRISES: Final = {
    "steelworks": "Prairie Steelworks (manufacturer)",
    "utility": "Hawkeye Power (utility)",
    "analytics": "Meridian Analytics",
}
_GOVERNORS: Final = {
    "chamber": "Chamber of Industry (runs the gateway)",
    "regulator": "Grid Regulator",
    "datatrust": "Data Trust",
}
_OUTSIDERS_GAS: Final = 2_000_000


@dataclass(frozen=True)
class Enterprise:
    """One enterprise: its keys, and its own client to the service."""

    handle: str
    name: str
    client: Client
    control: LocalKey
    signing: LocalKey
    domains: Domains

    @property
    def identity(self) -> Identity:
        """It signs with its own signing key."""
        return Identity(self.signing, self.domains)

    @property
    def founding_identity(self) -> Identity:
        """It signs with its control key, and its signing key admits itself."""
        return Identity(self.control, self.domains, self.signing)


@dataclass(frozen=True)
class Cast:
    """Everybody, as the demo's state file has them."""

    secrets: dict[str, Any]
    domains: Domains

    @property
    def passphrase(self) -> str:
        """Of the gateway's keystore."""
        return str(self.secrets["passphrase"])

    def key(self, name: str) -> LocalKey:
        """A key that was drawn for the demo: ``utility/control``, ``stranger/relay``."""
        return LocalKey(bytes.fromhex(self.secrets["keys"][name]))

    def governor(self, handle: str) -> Identity:
        """A governor's control key, from its encrypted key file."""
        path = Path(self.secrets["key_files"][f"{handle}/control"])
        return Identity(_open_key_file(path, self.passphrase), self.domains)

    def client(self, url: str, token: str) -> Client:
        """A client that bears the API key kept as ``token``."""
        return Client(url, self.secrets["api_keys"][token])

    def enterprise(self, url: str, handle: str) -> Enterprise:
        """An enterprise with its client."""
        control, signing = self.key(f"{handle}/control"), self.key(f"{handle}/signing")
        return Enterprise(handle, ENTERPRISES[handle], self.client(url, handle), control, signing, self.domains)


@cache
def _open_key_file(path: Path, passphrase: str) -> LocalKey:
    return LocalKey(read_key_file(path, passphrase))


def found_consortium(folder: Path, chain: DemoChain = EMBEDDED) -> None:
    """Found the consortium with `concord init`; keep everybody's secrets in one file, which only a demo may do."""
    passphrase = secrets.token_urlsafe(24)
    names = [f"{handle}/{role}" for handle in ENTERPRISES for role in ("control", "signing")]
    drawn = {name: generate_private_key().hex() for name in (*names, "stranger/signing", "stranger/relay")}
    relay = str(address_of(bytes.fromhex(drawn["stranger/relay"])))
    arguments = ["init", "--home", str(folder / "gateway"), "--owners", str(folder / "governors"), "--threshold", "2"]
    for handle, name in _GOVERNORS.items():
        arguments += ["--governor", f"{handle}={name}"]
    arguments += ["--origin", "concord.example/demo", *chain.init_options(relay)]
    founded = _init(arguments, passphrase, relay, chain)
    state = {
        "passphrase": passphrase,
        "keys": drawn,
        "api_keys": founded["api_keys"],
        "key_files": founded["key_files"],
    }
    write_state(folder / "secrets.json", state)
    (folder / "consortium.json").write_bytes((folder / "gateway" / "consortium.json").read_bytes())


def _init(arguments: list[str], passphrase: str, outsider: str, chain: DemoChain) -> Any:
    """Found; where the chain asks a fee, fund the accounts that are named, and go on."""
    try:
        return run_concord(arguments, passphrase)
    except CommandFailedError as error:
        if error.document.get("code") != "unfunded" or chain.fund is None:
            raise
        lacking = {address: int(amount) for address, amount in error.document["facts"].items()}
    chain.fund({**lacking, outsider: _OUTSIDERS_GAS * chain.gas_price_wei})
    return run_concord(arguments, passphrase)


def load_cast(folder: Path) -> Cast:
    """Everybody, from the demo's folder."""
    state = read_state(folder / "secrets.json")
    return Cast(state, parse_domains(json.loads((folder / "consortium.json").read_bytes())))


def hand_out_api_keys(folder: Path, url: str) -> Cast:
    """The operator creates an API key for each applicant, the auditor and the stranger."""
    cast = load_cast(folder)
    with cast.client(url, "chamber") as operator:
        for handle in (*ENTERPRISES, "stranger"):
            token = operator.run(operations.create_api_key(["apply"], label=handle))
            cast.secrets["api_keys"].setdefault(handle, token)
        token = operator.run(operations.create_api_key(["audit"], label="auditor"))
        cast.secrets["api_keys"].setdefault("auditor", token)
    write_state(folder / "secrets.json", cast.secrets)
    return cast


def note_admitted(folder: Path, cast: Cast) -> None:
    """From here on, another run may continue."""
    cast.secrets["admitted"] = True
    write_state(folder / "secrets.json", cast.secrets)
