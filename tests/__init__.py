"""
The tests of the project.
"""

from hypothesis import HealthCheck, settings

# How long it takes to make an example says nothing of what is tested, and on a
# machine that does other things too it may be any time.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
