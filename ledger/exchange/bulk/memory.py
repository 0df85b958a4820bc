"""A directory that remembers, for the statements of one round: many of them are about the same few things."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import datetime
from typing import TypeVar, cast

from ledger.errors import NotFoundError
from ledger.exchange.directory import AgreementRecord, DatasetRecord, Directory
from ledger.statements import Statement
from ledger.store import Store
from ledger.store.rows import AccessRequestRow, GrantRow, UsageRow
from ledger.types import Address, Bytes32

__all__ = ["RememberingDirectory"]

T = TypeVar("T")


class RememberingDirectory(Directory):
    """Asks for each thing once, also for one that is not there. Use it for one round, and no longer."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        super().__init__(store, now)
        self._found: dict[Hashable, object] = {}

    def dataset(self, name: str) -> DatasetRecord:
        return self._once(("dataset", name), lambda: super(RememberingDirectory, self).dataset(name))

    def registration(self, dataset: Bytes32, version: int) -> Bytes32:
        key = ("registration", dataset, version)
        return self._once(key, lambda: super(RememberingDirectory, self).registration(dataset, version))

    def statement(self, digest: Bytes32, type_name: str) -> Statement:
        key = ("statement", digest, type_name)
        return self._once(key, lambda: super(RememberingDirectory, self).statement(digest, type_name))

    def request(self, digest: Bytes32) -> AccessRequestRow:
        return self._once(("request", digest), lambda: super(RememberingDirectory, self).request(digest))

    def grant(self, digest: Bytes32) -> GrantRow:
        return self._once(("grant", digest), lambda: super(RememberingDirectory, self).grant(digest))

    def agreement(self, agreement: Bytes32) -> AgreementRecord:
        return self._once(("agreement", agreement), lambda: super(RememberingDirectory, self).agreement(agreement))

    def report(self, digest: Bytes32) -> UsageRow:
        return self._once(("report", digest), lambda: super(RememberingDirectory, self).report(digest))

    def status_of(self, participant: Bytes32) -> str | None:
        return self._once(("status", participant), lambda: super(RememberingDirectory, self).status_of(participant))

    def signing_keys_of(self, participant: Bytes32) -> tuple[Address, ...]:
        key = ("keys", participant)
        return self._once(key, lambda: super(RememberingDirectory, self).signing_keys_of(participant))

    def _once(self, key: Hashable, find: Callable[[], T]) -> T:
        found = self._found
        if key not in found:
            try:
                found[key] = find()
            except NotFoundError as error:
                found[key] = error
        value = found[key]
        if isinstance(value, NotFoundError):
            raise NotFoundError(str(value))
        return cast(T, value)
