"""Evidence as the gateway puts it together: statements, events, attestations and bundles, under an auditor's pins."""

from ledger.exchange.evidence.assembly import EvidenceAssembly
from ledger.exchange.evidence.pins import Pin, parse_pins
from ledger.exchange.evidence.proving import EventProver

__all__ = ["EventProver", "EvidenceAssembly", "Pin", "parse_pins"]
