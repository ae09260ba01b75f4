"""
The host: the whole life of one, and what it is made of.

    - L{sockhost.host.host}: L{Host<sockhost.host.host.Host>}, the life in its order;
    - L{sockhost.host.start}: how one is made; L{sockhost.host.foreground}: without
      C{twistd}; L{sockhost.host.leaving}: why there is none;
    - L{sockhost.host.units}: the units with their keepers;
    - L{sockhost.host.order}: which may start when, and which stops after which;
    - L{sockhost.host.change}: bringing a new configuration to them;
    - L{sockhost.host.once}: doing that one at a time;
    - L{sockhost.host.hooks}: the hooks of the host;
    - L{sockhost.host.end}: what ends a host; L{sockhost.host.exit}: with which
      status;
    - L{sockhost.host.lock}: one host on a run directory;
    - L{sockhost.host.process}: what it takes over in its process:
      L{sockhost.host.signals}, L{sockhost.host.log};
    - L{sockhost.host.around}: who is told how it is: L{sockhost.host.notify},
      L{sockhost.host.watch}.
"""

from sockhost.host.exit import ExitStatus
from sockhost.host.host import Host

__all__ = ["ExitStatus", "Host"]
