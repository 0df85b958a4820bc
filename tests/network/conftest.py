"""Networks of several validators: collected alone where an engine is named (`make test-network`)."""

from __future__ import annotations

from tests.network.engines import is_engine_named

collect_ignore_glob = [] if is_engine_named() else ["test_*.py"]
