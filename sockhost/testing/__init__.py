"""
Fakes and contract tests for the tests of plugins, and of sockhost itself.

    - L{sockhost.testing.units}: a unit turned by hand, and a host for units;
    - L{sockhost.testing.processes}: processes turned by hand;
    - L{sockhost.testing.sockets}: a handler and a client, connected in memory;
    - L{sockhost.testing.redis}: a Redis server in memory;
    - L{sockhost.testing.host}: a whole host in a temporary directory;
    - L{sockhost.testing.contracts}: what the interfaces promise, as tests;
    - L{sockhost.testing.mixed}: trial and pytest-twisted in one run of pytest.
"""
