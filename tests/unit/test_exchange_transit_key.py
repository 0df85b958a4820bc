"""The file that names a key service's key, the service's token, and the key behind the port."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.client.transit import TransitPlace
from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.exchange.errors import ForbiddenError
from ledger.exchange.keystore import KeyStore
from ledger.exchange.sealing_keys import SealingKeys, StoredKeyError
from ledger.exchange.transit_key import NamedTransitKey, TransitKey, no_kms_token, parse_kms_urls, read_kms_token
from ledger.store import Store
from ledger.types import Bytes32
from tests.support.databases import database_url
from tests.support.transit_checks import KEY, NOW, Service, check_moving, keep_key
from tests.support.transit_stand_in import TOKEN, TransitStandIn, stand_in_for_transit

ONE, OTHER = Bytes32(bytes([1]) * 32), Bytes32(bytes([2]) * 32)


@pytest.fixture
def stand_in() -> Iterator[TransitStandIn]:
    with stand_in_for_transit() as running:
        running.make(KEY)
        yield running


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(database_url(tmp_path_factory.mktemp("store"))) as opened:
        yield opened


class Moved:
    """A gateway's keys, moved to the service; two sealings' are kept."""

    def __init__(self, service: TransitStandIn, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.secrets: dict[Bytes32, bytes] = {}
        self.keystore = self.open_keystore()
        self.keys = SealingKeys(store, self.keystore, parse_kms_urls(service.url))
        for _ in range(2):
            keep_key(store, self.keys, self.secrets)
        self.keys.rotate(TransitPlace(service.url, KEY))

    def open_keystore(self) -> KeyStore:
        return KeyStore(self.folder / "keys", "pass", kdf_cost=2, kms_token=lambda: TOKEN)

    def check(self) -> None:
        for keys in (self.keys, SealingKeys(self.store, self.open_keystore())):
            assert {each: keys.unwrap(each).to_bytes() for each in self.secrets} == self.secrets

    def keks(self) -> set[str | None]:
        rows = [self.store.sealings.find(each) for each in self.secrets]
        return {None if row is None else row.kek for row in rows}


@pytest.fixture
def moved(stand_in: TransitStandIn, store: Store, tmp_path: Path) -> Iterator[Moved]:
    moved = Moved(stand_in, store, tmp_path)
    yield moved
    for sealing in moved.secrets:
        store.sealings.give_up(sealing, NOW)


def test_keys_move_there_are_rotated_and_come_back(stand_in: TransitStandIn, store: Store, tmp_path: Path) -> None:
    check_moving(Service(stand_in.url, TOKEN), store, tmp_path)


def test_a_wrapped_key_is_of_one_sealing_and_version(stand_in: TransitStandIn) -> None:
    kek = TransitKey(NamedTransitKey.draw(TransitPlace(stand_in.url, KEY), 1), lambda: TOKEN)
    wrapped = kek.wrap(bytes(32), ONE)
    kek.check()
    assert kek.unwrap(wrapped, ONE) == bytes(32)
    assert wrapped.startswith(b"vault:v1:")
    assert repr(kek) == f"TransitKey({kek.id})"
    for changed in (b"", b"\xff", b"vault:v2:" + wrapped[9:], wrapped[:-4]):
        with pytest.raises(VerificationError):
            kek.unwrap(changed, ONE)
    with pytest.raises(VerificationError):
        kek.unwrap(wrapped, OTHER)


def test_a_rotation_adds_a_version_and_retires_those_before(stand_in: TransitStandIn, moved: Moved) -> None:
    before, first = moved.keks(), moved.store.sealings.find(next(iter(moved.secrets)))
    assert first is not None
    rotated = moved.keys.rotate()
    assert (rotated.rewrapped, moved.keks()) == (2, {rotated.kek})
    assert {str(each).rpartition(":")[2] for each in before} == {"1"}
    assert (len(stand_in.keys[KEY].versions), stand_in.keys[KEY].least) == (2, 2)
    moved.check()
    old = TransitKey(NamedTransitKey("0" * 32, TransitPlace(stand_in.url, KEY), 1), lambda: TOKEN)
    with pytest.raises(UnavailableError, match="lower min_decryption_version"):
        old.unwrap(first.wrapped_key or b"", first.id)


@pytest.mark.parametrize("path", ["/v1/transit/decrypt/concord", "/v1/transit/keys/concord/config"])
def test_a_rotation_that_the_service_cuts_short_goes_on(
    stand_in: TransitStandIn, moved: Moved, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def fail_from_the_second_on(_method: str, target: str) -> Any:
        asked.append(target)
        is_late = asked.count(path) > (1 if path.endswith("concord") else 0)
        return (503, {"errors": ["Vault is sealed"]}) if is_late and target == path else None

    stand_in.twist = fail_from_the_second_on
    with pytest.raises(UnavailableError, match="is sealed"):
        moved.keys.rotate()
    moved.keys.resume()  # as a gateway that starts meanwhile, and says so
    assert "concord key rotate kek" in caplog.text
    stand_in.twist = lambda *_: None
    moved.check()
    assert {each.name for each in (moved.folder / "keys").glob("kek*")} == {"kek.json", "kek.next.json"}
    keep_key(moved.store, moved.keys, moved.secrets)
    moved.keys.resume()
    assert len(moved.keks()) == 1
    assert len(stand_in.keys[KEY].versions) == 2
    moved.check()
    assert [each.name for each in (moved.folder / "keys").glob("kek*")] == ["kek.json"]


def test_what_was_cut_short_ends_before_a_move(stand_in: TransitStandIn, moved: Moved) -> None:
    stand_in.twist = lambda _method, path: (503, {}) if path.endswith("/config") else None
    with pytest.raises(UnavailableError):
        moved.keys.rotate()
    stand_in.twist = lambda *_: None
    assert moved.keys.rotate(to_keystore=True).kek.startswith("keystore:")
    moved.check()
    assert moved.keks() == {moved.keystore.ensure_kek().id}


def test_a_place_that_does_not_serve_changes_nothing(stand_in: TransitStandIn, moved: Moved) -> None:
    before = (moved.folder / "keys/kek.json").read_bytes()
    stand_in.make("another", kind="rsa-4096")
    for place in (TransitPlace(stand_in.url, "none"), TransitPlace(stand_in.url, "another")):
        with pytest.raises(UnavailableError):
            moved.keys.rotate(place)
    stand_in.make("third")
    stand_in.twist = lambda _method, path: (200, {"data": {"plaintext": ""}}) if "/decrypt/third" in path else None
    with pytest.raises(UnavailableError, match="decrypts to something else"):
        moved.keys.rotate(TransitPlace(stand_in.url, "third"))
    stand_in.twist = lambda _method, path: (400, {"errors": ["no"]}) if "/decrypt/third" in path else None
    with pytest.raises(UnavailableError, match="does not decrypt what it encrypted"):
        moved.keys.rotate(TransitPlace(stand_in.url, "third"))
    stand_in.twist = lambda *_: None
    assert [(path.name, path.read_bytes()) for path in (moved.folder / "keys").glob("kek*")] == [("kek.json", before)]
    moved.check()


def test_no_key_and_no_token_go_where_the_operator_did_not_say(
    stand_in: TransitStandIn, moved: Moved, tmp_path: Path
) -> None:
    with stand_in_for_transit() as other:
        other.make(KEY)
        before, asked = (moved.folder / "keys/kek.json").read_bytes(), len(stand_in.asked)
        with pytest.raises(ForbiddenError, match="CONCORD_KMS_URLS") as refused:
            moved.keys.rotate(TransitPlace(other.url, KEY))
        assert (refused.value.code, refused.value.facts) == ("unknown-kms", {"url": other.url})
        unlisted = SealingKeys(moved.store, KeyStore(tmp_path / "new", "pass", kdf_cost=2, kms_token=lambda: TOKEN))
        with pytest.raises(ForbiddenError):
            unlisted.rotate(TransitPlace(other.url, KEY))  # nor the first time
        assert (other.asked, len(stand_in.asked)) == ([], asked)
        assert not (tmp_path / "new").exists()
        assert (moved.folder / "keys/kek.json").read_bytes() == before
        listed = SealingKeys(moved.store, moved.open_keystore(), parse_kms_urls(f"https://x, {other.url.upper()}/,"))
        assert listed.rotate(TransitPlace(other.url, KEY)).rewrapped == 2
        # Another key where the present one is: that service has token and keys already.
        other.make("second")
        assert SealingKeys(moved.store, moved.open_keystore()).rotate(TransitPlace(other.url, "second")).rewrapped == 2
        moved.keys = SealingKeys(moved.store, moved.open_keystore())
        moved.check()
        with pytest.raises(ForbiddenError):
            moved.keys.rotate(TransitPlace(stand_in.url, KEY))


def test_key_services_are_listed_by_their_urls() -> None:
    assert parse_kms_urls(" ,") == frozenset()
    assert parse_kms_urls("HTTPS://Vault.Example:443/, https://[::1]:8200/a/") == {
        "https://vault.example",
        "https://[::1]:8200/a",
    }
    for wrong in ("vault.example", "https://vault.example;https://other.example?", "http://vault.example"):
        with pytest.raises(MalformedError, match="CONCORD_KMS_URLS"):
            parse_kms_urls(wrong)


def test_without_the_service_nothing_opens_and_nothing_is_lost(stand_in: TransitStandIn, moved: Moved) -> None:
    stand_in.twist = lambda *_: (503, {"errors": ["Vault is sealed"]})
    sealing = next(iter(moved.secrets))
    with pytest.raises(UnavailableError, match="unseal it"):
        moved.keys.unwrap(sealing)
    with pytest.raises(UnavailableError):
        keep_key(moved.store, moved.keys, moved.secrets)
    stand_in.twist = lambda *_: None
    moved.check()
    row = moved.store.sealings.find(sealing)
    assert row is not None
    moved.store.sealings.rewrap(sealing, str(row.kek), str(row.kek), b"vault:v1:AAAA")
    with pytest.raises(StoredKeyError, match="does not decrypt"):
        moved.keys.unwrap(sealing)
    moved.store.sealings.rewrap(sealing, str(row.kek), str(row.kek), row.wrapped_key or b"")


def test_the_service_may_move_and_the_passphrase_change(stand_in: TransitStandIn, moved: Moved) -> None:
    file = moved.folder / "keys/kek.json"
    assert moved.keystore.change_passphrase("pass", "another") == 1
    named = json.loads(file.read_bytes())
    file.write_text(json.dumps(named | {"url": stand_in.url.replace("127.0.0.1", "localhost")}))
    keystore = KeyStore(moved.folder / "keys", "another", kms_token=lambda: TOKEN)
    assert SealingKeys(moved.store, keystore).unwrap(next(iter(moved.secrets)))
    shutil.copy(file, moved.folder / "copy.json")
    assert NamedTransitKey.find(moved.folder / "copy.json") is not None
    assert NamedTransitKey.find(moved.folder / "none.json") is None


def test_a_file_is_read_strictly() -> None:
    named = NamedTransitKey.draw(
        TransitPlace("https://vault.example", KEY, "teams/transit", "a/b", "ca.pem", "gateway.pem", "gateway.key"), 12
    )
    document = json.loads(named.to_bytes())
    assert NamedTransitKey.parse(document) == named
    wrong: object
    for wrong in (
        [],
        document | {"format": "concord-transit-key/2"},
        document | {"token": "hvs.x"},
        {name: value for name, value in document.items() if name != "url"},
        document | {"version": 12},
        document | {"version": "0"},
        document | {"id": "xyz"},
        document | {"url": "http://vault.example"},
    ):
        with pytest.raises(MalformedError):
            NamedTransitKey.parse(wrong)


def test_the_token_comes_from_a_file_or_a_setting(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hvs.first\nnothing\n")
    assert read_kms_token("hvs.setting", file) == "hvs.first"
    file.write_text("hvs.renewed")
    assert read_kms_token(None, file) == "hvs.renewed"
    assert read_kms_token("hvs.setting", None) == "hvs.setting"
    for token, given in ((None, None), ("", None), ("a b", None), ("a\nb", None)):
        with pytest.raises(UnavailableError, match="set CONCORD_KMS_TOKEN_FILE"):
            read_kms_token(token, given)
    with pytest.raises(UnavailableError, match="can not be read"):
        read_kms_token(None, tmp_path / "none")
    with pytest.raises(UnavailableError):
        no_kms_token()
