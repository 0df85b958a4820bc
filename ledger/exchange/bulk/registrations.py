"""The registry's rules for registrations that the log keeps alone: those that the contract asks when one is lifted.

The codes are those of the contract's errors, so that a client has one table for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ledger.checking import Checked, Registered
from ledger.errors import RefusedError
from ledger.statements.values import MAX_ITEMS
from ledger.store import Store

__all__ = ["VersionBook"]

_Version = tuple[bytes, int]
_ZERO: Final = bytes(32)


class VersionBook:
    """Versions that are known, those that entered with this batch among them."""

    def __init__(self, store: Store, records: Sequence[Checked]) -> None:
        """Look up all that the registrations among ``records`` refer to, and which of them are in the log.

        Raises: UnavailableError, FatalError.
        """
        registered = [record.registered for record in records if record.registered is not None]
        self._versions, self.places = store.bulk.find_registered(_referred(registered))
        self._retired = store.bulk.find_retired([each.dataset for each in registered])

    def enter(self, record: Checked, registered: Registered) -> None:
        """Check a registration, and know its version from now on. Raises: RefusedError."""
        dataset, version = claimed = registered.dataset, registered.version
        taken = self._versions.get(claimed)
        if taken is not None:
            raise _refuse(
                f"version {version} of this dataset is registered and never changes: register the next one",
                "dataset-registry-version-taken",
                dataset=dataset, version=version, registered=taken, given=record.digest,
            )  # fmt: skip
        if version == 0 or (version > 1 and (dataset, version - 1) not in self._versions):
            raise _refuse(
                "versions are consecutive: register the one before first",
                "dataset-registry-version-skipped",
                dataset=dataset, version=version,
            )  # fmt: skip
        if dataset in self._retired:
            raise _refuse(
                "the dataset has ended: register under another slug", "dataset-registry-retired", dataset=dataset
            )
        if registered.parents:
            self._check_parents(registered.parents)
        self._versions[claimed] = record.digest

    def _check_parents(self, parents: Sequence[tuple[bytes, int, bytes]]) -> None:
        if len(parents) > MAX_ITEMS:
            raise _refuse(f"name at most {MAX_ITEMS} parents", "dataset-registry-too-many-parents", count=len(parents))
        before: _Version | None = None
        for position, (dataset, version, registration) in enumerate(parents):
            if before is not None and not before < (dataset, version):
                raise _refuse(
                    "name each parent once, sorted by dataset and version",
                    "dataset-registry-parents-unordered",
                    index=position,
                )
            before = dataset, version
            registered = self._versions.get(before, _ZERO)
            if registered != registration:
                raise _refuse(
                    "register the parents first, and name each by the digest of its registration",
                    "dataset-registry-parent-unknown",
                    dataset=dataset, version=version, registration=registration, registered=registered,
                )  # fmt: skip


def _referred(registered: Sequence[Registered]) -> Iterable[_Version]:
    for each in registered:
        yield each.dataset, each.version
        if each.version > 1:
            yield each.dataset, each.version - 1
        for dataset, version, _ in each.parents:
            yield dataset, version


def _refuse(sentence: str, code: str, **facts: bytes | int) -> RefusedError:
    told = {name: "0x" + value.hex() if isinstance(value, bytes) else str(value) for name, value in facts.items()}
    return RefusedError(sentence, code=code, facts=told)
