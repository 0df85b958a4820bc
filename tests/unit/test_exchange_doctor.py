"""What the doctor tells of a node: where it is, and nothing that opens it."""

from __future__ import annotations

import pytest

from ledger.exchange import doctor as module


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("https://one:s3cret@node.example:8545/", "https://node.example:8545"),
        ("https://node.example/v3/s3cret?key=s3cret#s3cret", "https://node.example"),
        ("https://s3cret@[::1]:8545/rpc", "https://[::1]:8545"),
    ],
)
def test_a_node_is_named_without_what_opens_it(url: str, shown: str) -> None:
    assert module._place_of(url) == shown
