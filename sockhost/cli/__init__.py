# -*- test-case-name: tests.cli -*-
"""
The C{sockhost} command.

    - L{sockhost.cli.command}: the command as a whole, and its exit status
    - L{sockhost.cli.reach}: finding the host, and its refusals as exits
    - L{sockhost.cli.units}: status, start, stop, restart, reload, logs
    - L{sockhost.cli.clients}: clients, kick
    - L{sockhost.cli.hosts}: events, reconfigure, reopen-logs, shutdown
    - L{sockhost.cli.sending}: send
    - L{sockhost.cli.local}: check and run, which need no running host
    - L{sockhost.cli.table}: aligned text
    - L{sockhost.cli.exits}: the exit statuses

Everything but C{check} and C{run} imports the standard library and click only,
so that a command starts in less than 150 ms.
"""

from sockhost.cli.command import main

__all__ = ["main"]
