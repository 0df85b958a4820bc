"""The key service's real engine: the checks that the stand-in of the other tests passes, too."""

from __future__ import annotations

from pathlib import Path

from ledger.store import Store
from tests.support.databases import database_url
from tests.support.transit_checks import Service, check_encrypting, check_moving


def test_it_encrypts_by_versions_and_for_one_purpose(service: Service) -> None:
    check_encrypting(service)


def test_keys_move_there_are_rotated_and_come_back(service: Service, tmp_path: Path) -> None:
    with Store.open(database_url(tmp_path)) as store:
        check_moving(service, store, tmp_path)
