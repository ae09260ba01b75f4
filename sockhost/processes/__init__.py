"""
Processes: how every child of sockhost is made, watched, heard and buried.

    - L{sockhost.processes.spec}: what is to be executed;
    - L{sockhost.processes.spawner}: the one place that makes processes;
    - L{sockhost.processes.child}: a child, watched by a pidfd;
    - L{sockhost.processes.stdio}: the pipes between a child and its host;
    - L{sockhost.processes.system}: the calls to the kernel, replaceable in tests;
    - L{sockhost.processes.procfs}: what /proc says of a process and its group;
    - L{sockhost.processes.privileges}: running as another user;
    - L{sockhost.processes.collector}: how often Python looks for garbage;
    - L{sockhost.processes.output}: rotated log files, their tail and following them;
    - L{sockhost.processes.orphans}: burying grandchildren that the host inherits;
    - L{sockhost.processes.leftovers}: ending what a host that was killed left behind.
"""

from sockhost.processes.child import Child
from sockhost.processes.spawner import Spawner
from sockhost.processes.spec import ChildSpec

__all__ = ["Child", "ChildSpec", "Spawner"]
