"""
The host as seen from a distance.

    - L{metrics<sockhost.observe.metrics>}: its numbers, for Prometheus.
"""
