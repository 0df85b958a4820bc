"""A short random run of faults, of another seed each day; `make soak` is the long one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.soak import soak

SECONDS = 8.0  # after them the round that has begun is finished


@pytest.mark.timeout(300)
def test_a_random_run_of_faults(tmp_path: Path) -> None:
    seed = int(time.time() // 86_400)
    try:
        done = soak(tmp_path, SECONDS, seed)
    except AssertionError as error:
        raise AssertionError(f"again: python -m tests.support.soak --seconds {SECONDS:g} --seed {seed}") from error
    assert done["checked"] >= 1
    assert done["service killed"] >= 1
