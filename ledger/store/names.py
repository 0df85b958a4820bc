"""Names that this gateway knows: a participant's handle, a data set's slug."""

from __future__ import annotations

from ledger.types import Bytes32

__all__ = ["Names"]


class Names:
    """Handles are unique on the gateway, slugs unique for each provider."""

    def claim_handle(self, participant: Bytes32, handle: str) -> None:
        """Make ``handle`` the participant's, in place of the one it had.

        Raises:
            ConflictError: another participant has it (code ``handle-taken``).
        """
        raise NotImplementedError

    def claim_slug(self, provider: Bytes32, slug: str, dataset: Bytes32, dataset_salt: Bytes32) -> None:
        """Make ``slug`` the name of the provider's data set; repeating it changes nothing.

        Raises:
            ConflictError: it names another data set, or the data set has another name (code ``slug-taken``).
        """
        raise NotImplementedError

    def find_participant(self, handle: str) -> Bytes32 | None:
        """The participant with this handle."""
        raise NotImplementedError

    def handle_of(self, participant: Bytes32) -> str | None:
        """The participant's handle."""
        raise NotImplementedError

    def find_dataset(self, provider: Bytes32, slug: str) -> tuple[Bytes32, Bytes32] | None:
        """Id and salt of the provider's data set with this slug."""
        raise NotImplementedError

    def name_of(self, dataset: Bytes32) -> tuple[Bytes32, str, Bytes32] | None:
        """Provider, slug and dataset salt of a data set."""
        raise NotImplementedError
