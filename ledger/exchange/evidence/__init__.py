"""Evidence as the gateway puts it together: statements, events, attestations and bundles, under an auditor's pins."""

from ledger.exchange.evidence.assembly import EvidenceAssembly
from ledger.exchange.evidence.attesting import Attestations
from ledger.exchange.evidence.bundling import Bundling
from ledger.exchange.evidence.events import EventAssembly
from ledger.exchange.evidence.pins import Pin, parse_pins
from ledger.exchange.evidence.proving import EventProver

__all__ = ["Attestations", "Bundling", "EventAssembly", "EventProver", "EvidenceAssembly", "Pin", "parse_pins"]
