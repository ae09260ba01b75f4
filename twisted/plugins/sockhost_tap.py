"""
C{twistd sockhost}.
"""

from twisted.application.service import ServiceMaker

sockhost = ServiceMaker(
    "sockhost",
    "sockhost.tap",
    "A host for framed sockets, supervised processes, workers and Redis clients.",
    "sockhost",
)
