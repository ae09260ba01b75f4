"""
sockhost: a plugin service host on Twisted.

The map, a line a room, each importing only from those below it::

    __main__              C{python -m sockhost}, which is cli
    tap, cli              the ways in: C{twistd sockhost}, the C{sockhost} command
    host                  keepers in order, run directory, signals, exit status
    plugins               finding unit kinds;  control: the HTTP/JSON API;
                          observe: metrics
    supervise             process and cron units;  workers: warm forked processes
    sockets               framed sockets;  redis: the client;  processes: children
    keeper                goal and actual state of a unit, restart policy
    config, status        TOML to frozen attrs;  the one status tree
    interfaces            every contract and every exception

L{sockhost.testing} gives users the fakes and contract tests that sockhost's
own tests are made of.
"""

__version__ = "0.1.0"
