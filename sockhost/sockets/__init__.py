"""
Framed Unix sockets: a handler on one side, clients on the other.

    - L{wire<sockhost.sockets.wire>}: the bytes of a frame.
    - L{framing<sockhost.sockets.framing>}: the codec that cuts a stream into
      frames.
    - L{credentials<sockhost.sockets.credentials>}: who is at the other end.
    - L{access<sockhost.sockets.access>}: rules about users and groups.
    - L{door<sockhost.sockets.door>}: who may come in, and how many.
    - L{bound<sockhost.sockets.bound>}: a socket at a path, with its
      permissions, touching nothing that belongs to others.
    - L{stale<sockhost.sockets.stale>}: what an ended listener left at a path.
    - L{inherited<sockhost.sockets.inherited>}: sockets that systemd hands over.
    - L{reach<sockhost.sockets.reach>}: the keys that say where a socket is and
      who may use it.
    - L{endpoint<sockhost.sockets.endpoint>}: all this for any program on
      Twisted.
    - L{listener<sockhost.sockets.listener>}: accepts connections for any
      protocol factory.
    - L{past<sockhost.sockets.past>}: what is left of clients that are gone;
    - L{outbox<sockhost.sockets.outbox>}: what is queued towards one client, and
      who waits for it.
    - L{answers<sockhost.sockets.answers>}: what a handler's method returned.
    - L{session<sockhost.sockets.session>}: one client from C{connected} to
      C{disconnected}.
    - L{frameprotocol<sockhost.sockets.frameprotocol>}: between transports and
      sessions.
    - L{server<sockhost.sockets.server>}: all the clients of one socket.
    - L{hub<sockhost.sockets.hub>}: an epoll for all clients of a process;
      L{hubreactor<sockhost.sockets.hubreactor>} makes it the reactor's.
    - L{hublistener<sockhost.sockets.hublistener>},
      L{hubclients<sockhost.sockets.hubclients>}: clients that come into it, and
      what they share.
    - L{hubwriter<sockhost.sockets.hubwriter>},
      L{hubquiet<sockhost.sockets.hubquiet>},
      L{hubanswers<sockhost.sockets.hubanswers>},
      L{hubconnection<sockhost.sockets.hubconnection>},
      L{hubcut<sockhost.sockets.hubcut>}: one of them, from its way out to its
      way in; it has a session only when it needs one.
    - L{handler<sockhost.sockets.handler>}: finds a handler, makes it, calls its
      hooks.
    - L{serving<sockhost.sockets.serving>}: a handler, its server and its
      listener in one process.
    - L{settings<sockhost.sockets.settings>}: the keys of a socket unit.
    - L{unit<sockhost.sockets.unit>}: the C{socket} kind and its unit.
    - L{passing<sockhost.sockets.passing>}: a transport that carries descriptors
      and credentials.
    - L{beside<sockhost.sockets.beside>}: those of one client.
    - L{pushed<sockhost.sockets.pushed>}: connections by TLS.
    - L{latency<sockhost.sockets.latency>}: how long a handler takes.
    - L{trace<sockhost.sockets.trace>}: every frame, for Wireshark.
    - L{roster<sockhost.sockets.roster>}: the clients, for those who run it.
    - L{matching<sockhost.sockets.matching>}: which answer is whose.
    - L{client<sockhost.sockets.client>}: a client for Twisted programs.
    - L{reconnecting<sockhost.sockets.reconnecting>}: one that stays connected.
    - L{blocking<sockhost.sockets.blocking>}: a client that loads nothing but
      the standard library.

Nothing is imported here, so that C{blocking} starts fast.
"""
