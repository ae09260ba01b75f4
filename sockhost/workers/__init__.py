"""
Workers: one socket served by several processes that are forked from one which
has imported the handler.

In the host:

    - L{pool<sockhost.workers.pool>}: the unit behind C{workers = N};
    - L{prototype_unit<sockhost.workers.prototype_unit>} and
      L{worker_unit<sockhost.workers.worker_unit>}: a prototype and a worker as
      units, each with its keeper;
    - L{prototype_process<sockhost.workers.prototype_process>} and
      L{worker_run<sockhost.workers.worker_run>}: one running prototype, and one
      worker from its fork to its end;
    - L{process<sockhost.workers.process>}: a worker's process, watched by a
      pidfd;
    - L{channel<sockhost.workers.channel>}: the socket to a prototype.

In the other processes:

    - L{prototype<sockhost.workers.prototype>}: imports once, forks;
    - L{forking<sockhost.workers.forking>}: a reactor that survives a fork;
    - L{worker<sockhost.workers.worker>}: serves;
    - L{worker_host<sockhost.workers.worker_host>}: the host, as a handler in a
      worker sees it.

Between them:

    - L{spec<sockhost.workers.spec>}: what the workers are;
    - L{orders<sockhost.workers.orders>}: the messages between host and
      prototype;
    - L{port<sockhost.workers.port>}: the conversation between host and worker.

L{linux<sockhost.workers.linux>} and L{latch<sockhost.workers.latch>} are what
several of these are made of.
"""
