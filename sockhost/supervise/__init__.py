"""
Supervision: the units that are made of processes, and who is told of events.

    - L{sockhost.supervise.process}: the kind C{process}, one program kept alive;
    - L{sockhost.supervise.cron}: the kind C{cron}, a program run at given times;
    - L{sockhost.supervise.tap}: the kind C{tap}, any twistd plugin in the host;
    - L{sockhost.supervise.schedule}: those times, without a clock;
    - L{sockhost.supervise.program}: what both kinds say of a program;
    - L{sockhost.supervise.launcher}: executing a unit's program, logged and noted;
    - L{sockhost.supervise.execution}: one run of a program, to the end of its group;
    - L{sockhost.supervise.ready}: when a program is ready;
    - L{sockhost.supervise.notify}: the socket on which a program says so itself;
    - L{sockhost.supervise.events}: notifiers, and telling them in order.
"""
