"""
The project beside its peers, one command each: C{python -m benchmarks.NAME
[--quick] [--json FILE]}.

    - L{benchmarks.startup}: from the command to everything up; memory
    - L{benchmarks.kill}: C{kill -9} of any child, all the time

They are made of:

    - L{benchmarks.harness}: interleaved rounds, medians, the table, the file
    - L{benchmarks.hosts}: a host of the quickstart in a directory of its own
    - L{benchmarks.chaos}: what kills, asks, and checks
    - L{benchmarks.procfs}: what the kernel says of processes
"""
