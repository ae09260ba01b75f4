"""
The tests of the project.

What Hypothesis tries is the same in every run, so that what fails in one does in
the next; with C{HYPOTHESIS_PROFILE=search} in the environment it is other things
each time.
"""

import os

from hypothesis import HealthCheck, settings

# How long it takes to make an example says nothing of what is tested, and on a
# machine that does other things too it may be any time.
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("same", settings.get_profile("search"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
