"""Turns: one at a time for each key."""

from __future__ import annotations

import threading
import time

import pytest

from ledger.exchange.turns import Turns


def test_one_key_is_held_by_one_at_a_time() -> None:
    turns, inside, most = Turns(), 0, 0

    def work() -> None:
        nonlocal inside, most
        with turns.of("a"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.002)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 1


def test_other_keys_and_no_key_do_not_wait() -> None:
    turns = Turns()
    with turns.of("a"), turns.of("b"), turns.of(None), turns.of(None):
        pass


def test_a_key_is_free_again_after_an_error() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="wrong"), turns.of("a"):
        raise ValueError("wrong")
    with turns.of("a"):
        pass
