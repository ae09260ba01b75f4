"""
A package to start from:

    - L{sockhost_example.limited}, a handler;
    - L{sockhost_example.heartbeat}, a kind of unit;
    - L{sockhost_example.tap}, a plugin for twistd, which runs in a host too.
"""
