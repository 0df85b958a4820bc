"""A gateway's home folder checked from outside, running or stopped: log, statements, chain and data files.

Opens no key, no chain and no folder for writing; what it compares with is what the gateway read from the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self

from ledger.chain import Deployment
from ledger.content import FileEntry
from ledger.content.store import ContentStore, StoredContentError
from ledger.errors import FatalError, MalformedError, NotFoundError, UnavailableError
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.settings import Home
from ledger.log import Checkpoint, TileReader, VerifierKey
from ledger.log.fsck import Anchor, Finding, LogCheck, SecondRoots
from ledger.log.mirror import Mirror
from ledger.statements import Domains, Entry, Statement, UnknownStatementTypeError, compute_dataset_id
from ledger.store import Store
from ledger.store.rows import StatementRow
from ledger.types import Bytes32

__all__ = ["HomeCheck", "check_files"]

_LAST_INDEX: Final = 2**53


@dataclass
class HomeCheck:
    """Checks one home folder; `open` it."""

    config: GatewayFile
    domains: Domains
    store: Store
    mirror: Mirror
    registrations: list[Bytes32] = field(default_factory=list)
    """Digests of the dataset registrations that `check_log` came across"""

    @classmethod
    @contextmanager
    def open(cls, home: Home, database_url: str | None = None) -> Iterator[Self]:
        """Open database and log folder.

        Raises:
            NotFoundError: no gateway was founded there, or its database is missing.
            MalformedError, ConflictError, UnavailableError, FatalError: as gateway file and store.
        """
        config = GatewayFile.load(home.gateway_file)
        try:
            deployment = Deployment.parse(home.consortium_file.read_bytes())
        except FileNotFoundError as error:
            raise NotFoundError(f"{home.folder} has no consortium.json") from error
        if database_url is None and not home.database_file.is_file():
            raise NotFoundError(f"{home.folder} has no ledger.db: name the database")
        with Store.open(database_url or f"sqlite:///{home.database_file}") as store:
            yield cls(config, deployment.domains, store, Mirror(str(home.log_folder)))

    def anchors(self) -> list[Anchor]:
        """What the log has to hash to: every checkpoint that was read from the chain."""
        chain, log = self.store.chain, self.config.log
        found: list[Anchor] = []
        row = chain.first_covering(log, 0)
        while row is not None:
            found.append(Anchor(f"the checkpoint on chain in block {row.block}", row.size, row.root))
            row = chain.first_covering(log, row.size)
        return found

    def keys(self) -> tuple[VerifierKey, ...]:
        """The keys that the chain names for the log, the oldest first."""
        log = self.store.chain.find_log(self.config.log)
        return () if log is None else tuple(VerifierKey(self.config.origin, key) for key in log.verifier_keys)

    def last(self) -> Checkpoint:
        """The last checkpoint that the database knows. Raises: NotFoundError: it knows none."""
        row = self.store.checkpoints.load(self.config.origin)
        if row is None:
            raise NotFoundError(f"the database knows no log {self.config.origin}")
        return row

    def check_log(
        self, anchors: Sequence[Anchor], size: int, on_progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[Finding]:
        """Rebuild the log from statements and bundles. Raises: UnavailableError: disk or database failed."""
        log, statements, reader = self.config.log, self.store.statements, self.mirror.reader(size)
        seconds, second_roots = SecondRoots(), list[Finding]()

        def stated(first: int, count: int) -> list[bytes | None]:
            rows = {row.log_index: row for row in statements.list_by_index(log, first, first + count)}
            second_roots.extend(self._scan(rows.values(), seconds))
            return [self._stated_entry(index, rows.get(index), reader) for index in range(first, first + count)]

        yield from LogCheck(self.mirror.fetch_tile, size, anchors, stated, on_progress).run()
        yield from second_roots
        for row in statements.list_by_index(log, size, _LAST_INDEX):
            message = f"the statement {row.digest} has the index {row.log_index}, where the log has no entry"
            yield Finding("statement", message, row.log_index)

    def files(self) -> list[FileEntry]:
        """The data files that are said to be here, each once; after `check_log`."""
        found: dict[Bytes32, FileEntry] = {}
        for registration in self.registrations:
            for row in self.store.contents.files(registration):
                if row.uploaded_at is not None and row.sha256 not in found:
                    found[row.sha256] = FileEntry(row.path, row.size_bytes, row.sha256, row.root)
        return list(found.values())

    def _scan(self, rows: Iterable[StatementRow], seconds: SecondRoots) -> Iterator[Finding]:
        for row in rows:
            if row.type != "DatasetRegistration" or row.log_index is None:
                continue
            self.registrations.append(row.digest)
            try:
                message = Statement.parse(row.type, row.message).message
            except MalformedError:
                continue  # the entry that it should make says so
            dataset = compute_dataset_id(row.participant, Bytes32(_bytes(message["datasetSalt"])))
            content = _bytes(message["contentHash"])
            finding = seconds.add(row.log_index, dataset, int(str(message["version"])), content)
            if finding is not None:
                yield finding

    def _stated_entry(self, index: int, row: StatementRow | None, reader: TileReader) -> bytes | None:
        """The entry that the statement of an index makes, its digest computed from its text again."""
        if row is None:
            row = self._find_repeated(index, reader)
        if row is None:
            return None
        try:
            statement = Statement.parse(row.type, row.message)
        except UnknownStatementTypeError:  # of a later version: its text can not be hashed here
            return Entry.of(row.digest, row.participant, row.signature).to_bytes()
        except MalformedError:
            return None
        return Entry.of(statement.digest(self.domains), statement.participant, row.signature).to_bytes()

    def _find_repeated(self, index: int, reader: TileReader) -> StatementRow | None:
        """The statement of an entry that no row has as its index: a repeat, or one just being accepted."""
        try:
            return self.store.statements.find(Entry.parse(reader.entry(index)).digest)
        except (MalformedError, NotFoundError, UnavailableError, FatalError):
            return None  # the bundle is missing or damaged, which is found elsewhere


async def check_files(
    content: ContentStore, files: Sequence[FileEntry], on_progress: Callable[[int], None] = lambda _: None
) -> list[Finding]:
    """Hash every stored file again; ``on_progress`` is told how many bytes are done. Raises: UnavailableError."""
    found: list[Finding] = []
    done = 0
    for entry in files:
        try:
            await content.verify_file(entry)
        except (NotFoundError, StoredContentError) as error:
            found.append(Finding("file", f"{entry.path} (SHA-256 {entry.sha256.hex()}): {error}"))
        done += entry.size_bytes
        on_progress(done)
    return found


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
