"""The story: what the enterprises do, in order, each through its own client."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import vega_datasets

from ledger.canonical import JsonValue
from ledger.chain import ChainEdge, ChainSettings, LocalSigner, Receipt, encode_statement
from ledger.chain import SignedStatement as ChainStatement
from ledger.client import Identity, access, agreements, datasets, participants, statements
from ledger.client.datasets import Registration
from ledger.content import scan_folder
from ledger.errors import LedgerError, RefusedError, UnavailableError
from ledger.statements import Right, Statement, compute_dataset_id
from ledger.surface.outcomes import Outcome
from ledger.types import Bytes32
from scripts.demo.chain_choice import DemoChain
from scripts.demo.derivation import RESULT_NAME, derive
from scripts.demo.display import Display
from scripts.demo.enterprises import ENTERPRISES, Cast, Enterprise, note_admitted

__all__ = ["Story"]

_WAIT_S: Final = 60
_POLL_S: Final = 0.1
_SOURCE: Final = Path(vega_datasets.__file__).parent / "_data"
_POWER_V1: Final = ("iowa-electricity.csv", "seattle-temps.csv", "seattle-weather.csv")
_POWER_V2: Final = (*_POWER_V1, "sf-temps.csv")


class NotRefusedError(LedgerError):
    """The demo expected a refusal and there was none: something is wrong."""


@dataclass
class Story:
    """The demo's enterprises and what they made so far."""

    folder: Path
    url: str
    cast: Cast
    display: Display
    chain: DemoChain
    keep: bool
    made: dict[str, Registration] = field(default_factory=dict)
    indices: dict[Bytes32, int] = field(default_factory=dict)
    grant: Bytes32 | None = None

    def __post_init__(self) -> None:
        """Give each enterprise its client."""
        self.steelworks, self.utility, self.analytics = (self.cast.enterprise(self.url, each) for each in ENTERPRISES)

    def tell(self) -> None:
        """All of it. Raises: LedgerError: something is not as it must be."""
        chapters: tuple[tuple[str, Callable[[], None]], ...] = (
            ("The consortium is founded, and its governors admit three enterprises", self.admit),
            ("The utility and the manufacturer register data, and the bytes are checked as they arrive", self.register),
            ("Access is refused, asked for, granted", self.share),
            ("The analytics firm derives a data set and registers its lineage", self.derive),
            ("Capacity is shared: agreed, used, confirmed, disputed, settled", self.trade),
            ("The grant is revoked", self.revoke),
        )
        for number, (title, act) in enumerate(chapters, 1):
            self.display.chapter(number, title)
            act()

    # 1
    def admit(self) -> None:
        """Apply with own keys; two of three governors vote."""
        if self.keep:
            self.display.fact("continuing: founded and admitted by an earlier run")
            return
        for enterprise in (self.steelworks, self.utility, self.analytics):
            profile: dict[str, JsonValue] = {"handle": enterprise.handle, "name": enterprise.name}
            applied = enterprise.client.run(participants.apply(profile, enterprise.founding_identity, wait_s=_WAIT_S))
            self._vote(enterprise, applied)
        self.display.fact("chamber and regulator voted for each: 2 of 3 governors")
        note_admitted(self.folder, self.cast)

    def _vote(self, enterprise: Enterprise, applied: Outcome) -> None:
        for governor in ("chamber", "regulator"):
            with self.cast.client(self.url, governor) as client:
                flow = participants.vote(applied.digest, self.cast.governor(governor), wait_s=_WAIT_S)
                voted = client.run(flow)
        self.display.fact(f"{enterprise.name} is admitted in block {voted.block}")

    # 2
    def register(self) -> None:
        """Real files from a registry package."""
        self._register_power(_POWER_V1, "Iowa's electricity generation; Seattle's weather and hourly temperatures")
        self._register_power(_POWER_V2, "The same with San Francisco's hourly temperatures")
        self._publish(
            self.steelworks,
            "fleet",
            ("cars.json",),
            "Fleet of cars",
            "406 cars: weight, cylinders, power",
            "BSD-3-Clause",
        )
        self._refuse_other_bytes()

    def _register_power(self, names: tuple[str, ...], description: str) -> None:
        self._publish(self.utility, "power", names, "Power and weather", description, "BSD-3-Clause")

    def _publish(
        self, owner: Enterprise, slug: str, names: tuple[str, ...], title: str, description: str, licence: str
    ) -> None:
        staged = self.folder / "staged" / slug
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        for name in names:
            shutil.copy(_SOURCE / name, staged / name)
        self._state_version(owner, slug, staged, title, description, licence, ())

    def _state_version(
        self,
        owner: Enterprise,
        slug: str,
        staged: Path,
        title: str,
        description: str,
        licence: str,
        parents: tuple[str, ...],
    ) -> None:
        scanned = scan_folder(staged)
        metadata: dict[str, JsonValue] = {
            "title": title, "description": description, "licence": licence,
            "contact": f"data@{owner.handle}.example", "keywords": [slug],
        }  # fmt: skip
        flow = datasets.register(staged, scanned, owner.handle, slug, metadata, owner.identity, parents=parents)
        made = owner.client.run(flow)
        reached = owner.client.run(statements.wait(made.digest))
        self.made[f"{owner.handle}/{slug}"] = made
        self.indices[made.digest] = reached.index
        place = self.folder / "data" / owner.handle / f"{slug}@{made.version}"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(staged, place)
        files = len(scanned.manifest.files)
        self.display.fact(
            f"{owner.handle}/{slug}@{made.version}: {files} file{'s' * (files > 1)}, "
            f"{scanned.manifest.size_bytes:,} bytes, in force since block {reached.block}"
        )

    def _refuse_other_bytes(self) -> None:
        made = self.made["steelworks/fleet"]
        other = self.folder / "staged" / "other" / "cars.json"
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes((_SOURCE / "cars.json").read_bytes().replace(b"chevrolet", b"Chevrolet", 1))
        flow = datasets.put_file(str(made.dataset), made.version, "cars.json", other)
        error = self._expect_refusal(lambda: self.steelworks.client.run(flow))
        self.display.refusal(f"other bytes under the same name: {error}")

    # 3
    def share(self) -> None:
        """Refused without a grant; asked for, granted, downloaded; a stranger is refused twice."""
        name, version = "utility/power", self.made["utility/power"].version
        target = self.folder / "received" / "power"
        shutil.rmtree(target, ignore_errors=True)
        error = self._expect_refusal(lambda: self.analytics.client.run(datasets.download(name, version, target)))
        self.display.refusal(f"the analytics firm, without a grant: {error}")
        self.grant = self._ask_and_grant(self.utility, name)
        self._ask_and_grant(self.steelworks, "steelworks/fleet")
        for dataset in ("utility/power", "steelworks/fleet"):
            place = self.folder / "received" / dataset.partition("/")[2]
            flow = datasets.download(dataset, self.made[dataset].version, place)
            manifest = self.analytics.client.run(flow)
            self.display.fact(f"{dataset}: {manifest.size_bytes:,} bytes downloaded, all as registered")
        self._turn_stranger_away()

    def _ask_and_grant(self, provider: Enterprise, dataset: str) -> Bytes32:
        until = datetime.now(UTC) + timedelta(days=90)
        asked = self.analytics.client.run(
            access.request(
                dataset,
                self.analytics.identity,
                purpose="ResearchAndDevelopment",
                rights=["read", "derive"],
                valid_until=until.replace(microsecond=0),
            )
        )
        inbox = provider.client.run(access.requests(role="provider", status="open"))
        chosen = next(request.digest for request in inbox if request.digest == asked.digest)
        granted = provider.client.run(access.grant_request(chosen, provider.identity, wait_s=_WAIT_S))
        self.display.fact(
            f"{provider.handle} grants {dataset} for research and development until {until:%Y-%m-%d}, "
            f"block {granted.block}"
        )
        return granted.digest

    def _turn_stranger_away(self) -> None:
        now = int(datetime.now(UTC).timestamp())
        statement = self._strangers_grant(now)
        key = self.cast.key("stranger/signing")
        identity = Identity(key, self.cast.domains)
        with self.cast.client(self.url, "stranger") as client:
            error = self._expect_refusal(lambda: client.run(statements.submit(statement, identity)))
        self.display.refusal(f"a stranger, at the service: {error}")
        signed = ChainStatement(statement, key.address, key.sign(statement.digest(self.cast.domains)))
        relay = LocalSigner(bytes.fromhex(self.cast.secrets["keys"]["stranger/relay"]))
        with ChainEdge.open(self._chain_settings()) as edge:
            call = encode_statement(self.cast.domains.contracts, signed)
            error = self._expect_refusal(lambda: edge.simulate(call, relay.address))
            transaction = edge.sign_transaction(relay, call, edge.nonce(relay.address))
            if edge.send([transaction]) != [None]:
                raise NotRefusedError("the node did not take the stranger's own transaction")
            receipt = _await_receipt(edge, transaction.hash)
        if receipt.is_successful:
            raise NotRefusedError("the stranger's own transaction was not refused by the contract")
        self.display.refusal(
            f"the stranger's own transaction, relayed past the service, reverted in block "
            f"{receipt.block_number}: {error}"
        )

    def _chain_settings(self) -> ChainSettings:
        return ChainSettings(
            profile="node",
            chain_id=self.cast.domains.chain_id,
            rpc_url=self.chain.node_of(self.url),
            gas_price_wei=self.chain.gas_price_wei,
        )

    def _strangers_grant(self, now: int) -> Statement:
        zero, who = Bytes32(bytes(32)), Bytes32(b"\x07" * 32)
        return Statement.build(
            "AccessGrant",
            participant=who, datasetSalt=zero, consumer=self._id_of("analytics"), firstVersion=1, lastVersion=0,
            purpose=compute_dataset_id(zero, zero), rights=int(Right.READ), validFrom=now, validUntil=now + 3600,
            policyHash=zero, deadline=now + 600, salt=zero,
        )  # fmt: skip

    def _id_of(self, handle: str) -> Bytes32:
        return self.utility.client.run(participants.show(handle)).id

    # 4
    def derive(self) -> None:
        """A real computation over what was downloaded."""
        result = self.folder / "staged" / "charging"
        shutil.rmtree(result, ignore_errors=True)
        received = self.folder / "received"
        with self.display.working("computing"):
            rows = derive(received / "power", received / "fleet", result)
        size = (result / RESULT_NAME).stat().st_size
        self.display.fact(f"{RESULT_NAME}: {rows:,} rows, {size:,} bytes computed from both")
        parents = tuple(f"{name}@{self.made[name].version}" for name in ("utility/power", "steelworks/fleet"))
        title, description = "Charging an electric fleet", "Load, sources and emissions by hour, city and class of car"
        self._state_version(self.analytics, "charging", result, title, description, "CC-BY-4.0", parents)
        self.display.fact(f"derived from {' and '.join(parents)}")

    # 5
    def trade(self) -> None:
        """From proposal to settlement; over quota is refused, another report disputed."""
        now = datetime.now(UTC).replace(microsecond=0)
        proposed = self.utility.client.run(
            agreements.propose(
                self.utility.identity,
                parties=["utility", "steelworks"],
                supplier="utility",
                user="steelworks",
                resource="capacity",
                terms={"title": "Night-shift capacity", "price": "41.50", "currency": "EUR"},
                valid_from=now - timedelta(days=31),
                valid_until=now + timedelta(days=365),
                quota=Decimal(1200),
                unit="MW.h",
                decimals=3,
                wait_s=_WAIT_S,
            )
        )
        agreement = Bytes32.parse(proposed.ids["agreement"])
        accepted = self.steelworks.client.run(agreements.accept(agreement, self.steelworks.identity, wait_s=_WAIT_S))
        self.display.fact(f"1200 MWh at 41.50 EUR agreed by both, active since block {accepted.block}")
        self._use(agreement, now)

    def _use(self, agreement: Bytes32, now: datetime) -> None:
        report = self._report(agreement, Decimal("740.250"), now - timedelta(days=21))
        confirmed = self.steelworks.client.run(
            agreements.confirm_usage(report.digest, self.steelworks.identity, wait_s=_WAIT_S)
        )
        self.display.fact(
            f"740.250 MWh reported by the utility, confirmed by the manufacturer in block {confirmed.block}"
        )
        error = self._expect_refusal(lambda: self._report(agreement, Decimal(500), now - timedelta(days=14)))
        self.display.refusal(f"a report of 500 MWh: {error}")
        disputed = self._report(agreement, Decimal("300.000"), now - timedelta(days=14))
        flow = agreements.dispute_usage(disputed.digest, "the meter was down on two nights", self.steelworks.identity)
        self.steelworks.client.run(flow)
        self.display.fact("300 MWh reported, disputed by the manufacturer: the meter was down on two nights")
        settled = self.utility.client.run(
            agreements.settle(agreement, self.utility.identity, invoice={"number": "2026-001"}, wait_s=_WAIT_S)
        )
        view = self.utility.client.run(agreements.show(agreement))
        self.display.fact(f"{view.settled} MWh settled in block {settled.block}: what was confirmed, and no more")

    def _report(self, agreement: Bytes32, quantity: Decimal, begin: datetime) -> Outcome:
        flow = agreements.report_usage(
            agreement, quantity, self.utility.identity,
            period_from=begin, period_until=begin + timedelta(days=7), detail={"meter": "IA-0417"}, wait_s=_WAIT_S,
        )  # fmt: skip
        return self.utility.client.run(flow)

    # 6
    def revoke(self) -> None:
        """The next download is refused, and names the block."""
        if self.grant is None:
            raise NotRefusedError("there is no grant to revoke")
        revoked = self.utility.client.run(access.revoke(self.grant, self.utility.identity, wait_s=_WAIT_S))
        self.display.fact(f"the utility revokes its grant in block {revoked.block}")
        name, target = "utility/power", self.folder / "received" / "again"
        flow = datasets.download(name, self.made[name].version, target, grant=self.grant)
        error = self._expect_refusal(lambda: self.analytics.client.run(flow))
        self.display.refusal(f"the next download: 403 {error.code}: {error}")
        if error.code != "grant-revoked" or error.facts.get("block") != revoked.block:
            raise NotRefusedError("the refusal does not name the revocation's block")

    def close(self) -> None:
        """Close the enterprises' connections."""
        for enterprise in (self.steelworks, self.utility, self.analytics):
            enterprise.client.close()

    def index_of(self, made: Registration) -> int:
        """The log index of a registration."""
        return self.indices[made.digest]

    def _expect_refusal(self, act: Callable[[], object]) -> RefusedError:
        try:
            act()
        except RefusedError as error:
            return error
        except LedgerError as error:
            return RefusedError(str(error), code="refused")
        raise NotRefusedError("nothing refused what must be refused")


def _await_receipt(edge: ChainEdge, transaction_hash: Bytes32) -> Receipt:
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        receipt = edge.receipt(transaction_hash)
        if receipt is not None:
            return receipt
        time.sleep(_POLL_S)
    raise UnavailableError(f"transaction {transaction_hash} is in no block after {_WAIT_S} s")
