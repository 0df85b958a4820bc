"""A short random run of faults, always of the same seed; `make soak` is the long one, of another each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.soak import soak

SECONDS = 8.0  # after them the round that has begun is finished
SEED = 20_778


@pytest.mark.timeout(300)
def test_a_random_run_of_faults(tmp_path: Path) -> None:
    try:
        done = soak(tmp_path, SECONDS, SEED)
    except AssertionError as error:
        raise AssertionError(f"again: python -m tests.support.soak --seconds {SECONDS:g} --seed {SEED}") from error
    assert done["checked"] >= 1
    assert done["service killed"] >= 1
