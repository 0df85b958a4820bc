"""ledger.evidence.log_note: which of the policy's logs signed a checkpoint."""

from __future__ import annotations

import pytest

from ledger.errors import VerificationError
from ledger.evidence.log_note import find_signer
from ledger.log import Checkpoint, NoteSigner
from tests.support.evidence_world import World

ELSEWHERE = "elsewhere.example/log"


def test_a_checkpoint_of_a_log_that_the_policy_does_not_name() -> None:
    note = NoteSigner(ELSEWHERE, bytes(32)).sign(Checkpoint(ELSEWHERE, 1, bytes(32)).text)
    with pytest.raises(VerificationError, match=f"names no log {ELSEWHERE}"):
        find_signer(World().policy(), [note.to_bytes()])
