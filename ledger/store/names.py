"""Names that this gateway knows: a participant's handle, a data set's slug."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from ledger.errors import ConflictError
from ledger.store.database import Database
from ledger.store.schema.gateway import DATASET_SLUGS, PARTICIPANT_HANDLES
from ledger.types import Bytes32

__all__ = ["Names"]


class Names:
    """Handles are unique on the gateway, slugs unique for each provider."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim_handle(self, participant: Bytes32, handle: str) -> None:
        """Make ``handle`` the participant's, in place of the one it had.

        Raises:
            ConflictError: another participant has it (code ``handle-taken``).
        """
        handles = PARTICIPANT_HANDLES
        with self._database.write() as connection:
            holder = connection.scalar(select(handles.c.participant).where(handles.c.handle == handle))
            if holder == participant:
                return
            if holder is not None:
                raise ConflictError(
                    f"another participant is called {handle}: choose another handle", code="handle-taken"
                )
            connection.execute(delete(handles).where(handles.c.participant == participant))
            connection.execute(insert(handles).values(participant=participant, handle=handle))

    def claim_slug(self, provider: Bytes32, slug: str, dataset: Bytes32, dataset_salt: Bytes32) -> None:
        """Make ``slug`` the name of the provider's data set; repeating it changes nothing.

        Raises:
            ConflictError: it names another data set, or the data set has another name (code ``slug-taken``).
        """
        slugs = DATASET_SLUGS
        claim = {"provider": provider, "slug": slug, "dataset": dataset, "dataset_salt": dataset_salt}
        with self._database.write() as connection:
            same_name = (slugs.c.provider == provider) & (slugs.c.slug == slug)
            for row in connection.execute(select(slugs).where(same_name | (slugs.c.dataset == dataset))).mappings():
                if dict(row) != claim:
                    raise ConflictError(
                        f"{slug} names another data set of this provider, or this one has another name: "
                        "choose another slug, or register a further version under its own",
                        code="slug-taken",
                    )
                return
            connection.execute(insert(slugs).values(**claim))

    def find_participant(self, handle: str) -> Bytes32 | None:
        """The participant with this handle."""
        query = select(PARTICIPANT_HANDLES.c.participant).where(PARTICIPANT_HANDLES.c.handle == handle)
        with self._database.read() as connection:
            return connection.scalar(query)

    def handle_of(self, participant: Bytes32) -> str | None:
        """The participant's handle."""
        query = select(PARTICIPANT_HANDLES.c.handle).where(PARTICIPANT_HANDLES.c.participant == participant)
        with self._database.read() as connection:
            handle: str | None = connection.scalar(query)
        return handle

    def find_dataset(self, provider: Bytes32, slug: str) -> tuple[Bytes32, Bytes32] | None:
        """Id and salt of the provider's data set with this slug."""
        query = select(DATASET_SLUGS).where(DATASET_SLUGS.c.provider == provider, DATASET_SLUGS.c.slug == slug)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.dataset, row.dataset_salt)

    def name_of(self, dataset: Bytes32) -> tuple[Bytes32, str, Bytes32] | None:
        """Provider, slug and dataset salt of a data set."""
        query = select(DATASET_SLUGS).where(DATASET_SLUGS.c.dataset == dataset)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.provider, row.slug, row.dataset_salt)
