"""Moved: edit and import ledger/surface/views.py (shared with ledger.client); this shim goes away."""

from ledger.surface.views import *  # noqa: F403
from ledger.surface.views import __all__  # noqa: F401
