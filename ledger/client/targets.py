"""Where a delivery goes: what of it is wanted there, and how it is opened into its place."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ledger.client.choosing import Part, choose
from ledger.client.datasets import check_free, is_present
from ledger.client.described import Described
from ledger.client.opening import open_files
from ledger.client.sealed_files import PullState, check_paths
from ledger.content import Manifest
from ledger.content.sealing import SealingKey
from ledger.errors import MalformedError, NotFoundError
from ledger.surface.transfers import TransferView

__all__ = ["Folder", "Target"]


class Target(Protocol):
    """Where a delivery goes."""

    def admit(self, state: PullState, sealed: Described) -> tuple[Part, ...]:
        """Which parts are to be received, none where all is there; what it raises ends it before data are fetched."""

    def take(
        self, state: PullState, sealed: Described, parts: tuple[Part, ...], released: TransferView, key: SealingKey
    ) -> None:
        """Open what was received; done with it, forget the state."""


class Folder:
    """A folder of one's own."""

    def __init__(self, folder: Path, *, replace: bool) -> None:
        """``replace``: files of another content are overwritten."""
        self._folder = folder
        self._replace = replace

    def admit(self, state: PullState, sealed: Described) -> tuple[Part, ...]:
        """Which parts were chosen; none where all of them are there.

        Raises:
            ConflictError: a file of another content lies in its place (``file-exists``).
            NotFoundError, MalformedError: nothing is there as it was chosen.
        """
        check_paths(sealed.manifest)
        parts = _choose(state, sealed.manifest)
        return parts if self._find_missing(parts) else ()

    def take(
        self, state: PullState, sealed: Described, parts: tuple[Part, ...], _released: TransferView, key: SealingKey
    ) -> None:
        """Open the parts into the folder. Raises: as `open_files`."""
        open_files(state, self._folder, key, parts, sealed.chunks, sealed.descriptor)
        state.drop()

    def _find_missing(self, parts: tuple[Part, ...]) -> list[str]:
        """What is not there as registered; of a range nobody can tell yet."""
        missing = [part.path for part in parts if part.span is not None or not is_present(self._folder, part.entry)]
        if not self._replace:
            check_free(self._folder, missing)
        return missing


def _choose(state: PullState, manifest: Manifest) -> tuple[Part, ...]:
    try:
        return choose(manifest, state.choice)
    except (NotFoundError, MalformedError):
        if state.receipt is None:
            state.drop()  # a mistake in what was chosen leaves nothing
        raise
