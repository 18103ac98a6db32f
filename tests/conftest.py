"""Settings that every test shares."""

from hypothesis import HealthCheck, settings

# Two busy cores make single examples slow; that is not what these tests are about.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
