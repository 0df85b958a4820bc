"""How the demo ends: what was shown, how to check it by hand, and what it does not prove."""

from __future__ import annotations

from typing import Final

__all__ = ["CLOSING"]

CLOSING: Final = """
What was shown
  Three enterprises that do not trust each other shared data and capacity. Each signed with its own key what it said;
  contracts decided what came in force; the log keeps every statement; and an auditor checked all of it from files,
  with the service stopped: who said what, no later than when, about which bytes, and who was allowed to have them.

Verify again by hand
  .venv/bin/python scripts/verify_provenance.py {folder}/evidence/*.json \\
    --policy {folder}/policy.json --data {folder}/data

Five cheats to try, and the step that catches each (`V` stands for the command above, with the one evidence file
  {evidence})
  1. Change a word of the statement in the evidence ("version":"{version}" to "9"):   step 3, the signature, or 2
  2. Put another statement's "signature" into it:                              step 3, the signature
  3. Change a hash of "proof" under "log":                                     step 5, inclusion
  4. Drop the last record of "history", for instance a revocation of a key:    step 10, the history head
  5. Change a byte of a file below {folder}/data:                              step 11, the content root

What one operator's embedded chain does not prove
  That the operator did not found the consortium anew with another past: until several validators seal the blocks, the
  verdict rests on the block hashes that your policy pins. Make it early with a node of your choice, compare its SHA-256
  with two members over another channel, keep it. And no ledger shows that what was said is true.

Next: `make serve`
"""
