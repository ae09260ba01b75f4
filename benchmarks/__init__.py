"""
The project beside its peers, one command each: C{python -m benchmarks.NAME
[--quick] [--json FILE]}.

    - L{benchmarks.startup}: from the command to everything up; memory
    - L{benchmarks.kill}: C{kill -9} of any child, all the time
    - L{benchmarks.sockets}: framed echo servers
    - L{benchmarks.soak_sockets}: a framed socket under a thousand clients at
      random, for ten minutes
    - L{benchmarks.redis}: the Redis clients, to one server on one CPU
    - L{benchmarks.soak_redis}: a bad line to servers that are killed and take
      each other's place, and a cluster, for ten minutes

They are made of:

    - L{benchmarks.harness}: interleaved rounds, medians, the table, the file
    - L{benchmarks.peer_worker}: what peers of the host run as its workers
    - L{benchmarks.sockets_server}, L{benchmarks.sockets_load}: the echo servers,
      and clients of them; C{native/} has both in C
    - L{benchmarks.soak_clients}: clients that behave well and badly
    - L{benchmarks.hosts}: a host of the quickstart in a directory of its own
    - L{benchmarks.chaos}: what kills, asks, and checks
    - L{benchmarks.redis_load}, L{benchmarks.redis_twisted}: what each Redis
      client does; C{native/redis_hiredis.c}: the same in C
    - L{benchmarks.redis_server}, L{benchmarks.redis_proxy}: a server, and a bad
      line to it
    - L{benchmarks.redis_topologies}, L{benchmarks.redis_cluster}: what the soak
      of the Redis client runs against, and its misfortunes
    - L{benchmarks.soak_redis_more}: what else the client of that soak does
    - L{benchmarks.procfs}: what the kernel says of processes
"""
