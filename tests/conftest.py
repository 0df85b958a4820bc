"""What every test shares."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A shared, busy machine is slow now and then: neither an example's time nor a generator's says anything about the code.
settings.register_profile("concord", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("concord")
