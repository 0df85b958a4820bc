"""Moved: edit and import ledger/surface/outcomes.py (shared with ledger.client); this shim goes away."""

from ledger.surface.outcomes import *  # noqa: F403
from ledger.surface.outcomes import __all__  # noqa: F401
