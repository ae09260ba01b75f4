"""
Framed Unix sockets: a handler on one side, clients on the other.

    - L{wire<sockhost.sockets.wire>}: the bytes of a frame.
    - L{framing<sockhost.sockets.framing>}: the codec that cuts a stream into
      frames.
    - L{credentials<sockhost.sockets.credentials>}: who is at the other end.
    - L{bound<sockhost.sockets.bound>}: a socket at a path, with its
      permissions, touching nothing that belongs to others.
    - L{listener<sockhost.sockets.listener>}: accepts connections for any
      protocol factory.
    - L{outbox<sockhost.sockets.outbox>}: what is queued towards one client, and
      who waits for it.
    - L{answers<sockhost.sockets.answers>}: what a handler's method returned.
    - L{session<sockhost.sockets.session>}: one client from C{connected} to
      C{disconnected}.
    - L{server<sockhost.sockets.server>}: all the clients of one socket.
    - L{handler<sockhost.sockets.handler>}: finds a handler, makes it, calls its
      hooks.
    - L{serving<sockhost.sockets.serving>}: a handler, its server and its
      listener in one process.
    - L{settings<sockhost.sockets.settings>}: the keys of a socket unit.
    - L{unit<sockhost.sockets.unit>}: the C{socket} kind and its unit.
    - L{client<sockhost.sockets.client>}: a client for Twisted programs.
    - L{blocking<sockhost.sockets.blocking>}: a client that loads nothing but
      the standard library.

Nothing is imported here, so that C{blocking} starts fast.
"""
