"""A gateway's home folder checked from outside, running or stopped: log, statements, chain and data files.

Opens no key, no chain and no folder for writing; what it compares with is what the gateway read from the chain.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self

from ledger.canonical import encode_canonical
from ledger.chain import Deployment
from ledger.content import FileEntry
from ledger.content.store import ContentStore, StoredContentError
from ledger.errors import FatalError, MalformedError, NotFoundError, UnavailableError
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.settings import Home
from ledger.exchange.statement_check import Key, StatementCheck
from ledger.log import Checkpoint, TileReader, VerifierKey
from ledger.log.fsck import Anchor, Finding, LogCheck, SecondRoots
from ledger.log.mirror import Mirror
from ledger.statements import Domains, Entry
from ledger.store import Store
from ledger.store.scanning import ScannedStatement
from ledger.types import Bytes32

__all__ = ["HomeCheck", "check_files"]

_LAST_INDEX: Final = 2**53
_MOST_SURPLUS: Final = 10_000


@dataclass
class HomeCheck:
    """Checks one home folder; `open` it."""

    config: GatewayFile
    domains: Domains
    store: Store
    mirror: Mirror
    statements: StatementCheck = field(init=False)
    """Counts the signatures that were recovered"""

    def __post_init__(self) -> None:
        """Check statements of this consortium."""
        self.statements = StatementCheck(self.domains, self._keys_of)

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
        self, anchors: Iterable[Anchor], size: int, on_progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[Finding]:
        """Rebuild the log from statements and bundles, and recover every signature.

        ``anchors``, ascending by size, are compared together with every checkpoint that was signed.

        Raises:
            UnavailableError: disk or database failed.
        """
        log, scanning, reader = self.config.log, self.store.scanning, self.mirror.reader(size)
        wrong: list[Finding] = []
        signed = self._signed(size, wrong)
        ascending = heapq.merge(sorted(anchors, key=_by_size), signed, key=_by_size)
        with SecondRoots() as seconds:

            def stated(first: int, count: int) -> list[bytes | None]:
                rows = {row.index: row for row in scanning.list_statements(log, first, first + count)}
                return [
                    self._check(index, rows.get(index), reader, seconds, wrong) for index in range(first, first + count)
                ]

            for finding in LogCheck(self.mirror.fetch_tile, size, ascending, stated, on_progress).run():
                yield finding
                yield from _drain(wrong)
            yield from _drain(wrong)
            yield from seconds.find()
        for row in scanning.list_statements(log, size, min(size + _MOST_SURPLUS, _LAST_INDEX)):
            message = f"the statement {row.digest} has the index {row.index}, where the log has no entry"
            yield Finding("statement", message, row.index)

    def files(self) -> list[FileEntry]:
        """The data files that are said to be here, each once."""
        found: dict[Bytes32, FileEntry] = {}
        for row in self.store.scanning.list_uploaded():
            found.setdefault(row.sha256, FileEntry(row.path, row.size_bytes, row.sha256, row.root))
        return list(found.values())

    def _signed(self, size: int, wrong: list[Finding]) -> Iterator[Anchor]:
        """Every checkpoint that was signed up to a size; later ones of a gateway that goes on are for the next time."""
        for at, text in self.store.scanning.iterate_checkpoints(self.config.origin):
            if at > size:
                return
            try:
                signed = Checkpoint.parse(text)
            except MalformedError as error:
                wrong.append(Finding("root", f"the signed checkpoint of size {at} is stored malformed: {error}"))
            else:
                yield Anchor("a signed checkpoint", at, signed.root)

    def _keys_of(self, participant: Bytes32) -> frozenset[Key]:
        return frozenset((each.role, each.key) for each in self.store.participants.keys(participant))

    def _check(
        self, index: int, row: ScannedStatement | None, reader: TileReader, seconds: SecondRoots, wrong: list[Finding]
    ) -> bytes | None:
        """The entry that the statement of an index makes, its digest computed from its text again."""
        row = row or self._find_repeated(index, reader)
        if row is None:
            return None
        found = self.statements.check(row)
        if found.wrong is not None and len(wrong) < _MOST_SURPLUS:
            wrong.append(Finding(found.kind, f"the statement of entry {index}: {found.wrong}", index))
        if found.registered is not None:
            seconds.add(index, *found.registered)
        return found.entry

    def _find_repeated(self, index: int, reader: TileReader) -> ScannedStatement | None:
        """The statement of an entry that no row has as its index: a repeat, or one just being accepted."""
        try:
            row = self.store.statements.find(Entry.parse(reader.entry(index)).digest)
        except (MalformedError, NotFoundError, UnavailableError, FatalError):
            return None  # the bundle is missing or damaged, which is found elsewhere
        if row is None:
            return None
        text = encode_canonical(row.message).decode()
        return ScannedStatement(
            index,
            row.digest,
            row.type,
            row.participant,
            text,
            row.signature,
            row.signer,
            row.cosignature,
            row.executable,
        )


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


def _by_size(anchor: Anchor) -> int:
    return anchor.size


def _drain(findings: list[Finding]) -> Iterator[Finding]:
    while findings:
        yield findings.pop(0)
