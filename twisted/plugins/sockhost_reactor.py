"""
C{twistd --reactor=sockhost}.
"""

from twisted.application.reactors import Reactor

sockhost_reactor = Reactor(
    "sockhost",
    "sockhost.sockets.hubreactor",
    "epoll(7), with the framed sockets of sockhost in front of all others.",
)
