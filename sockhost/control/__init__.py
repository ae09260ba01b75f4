# -*- test-case-name: tests.control -*-
"""
The control API: HTTP and JSON on a Unix socket of the run directory.

    - L{sockhost.control.server}: the listening socket and its connections
    - L{sockhost.control.api}: the routes, and what each does to the host
    - L{sockhost.control.access}: who is at the other end, and may it
    - L{sockhost.control.answers}: JSON out, parameters in, errors as answers
    - L{sockhost.control.streams}: server-sent events to readers of any speed
    - L{sockhost.control.logs}: the lines of a unit's log, as they come
    - L{sockhost.control.place}: how a run directory leads to the socket
    - L{sockhost.control.client}: the blocking client of the command line; it
      imports the standard library only

The room sees the host only as L{IHost<sockhost.interfaces.IHost>}.
"""
