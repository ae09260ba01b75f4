"""
The kinds of units that come with sockhost.
"""

from sockhost.redis.unit import RedisKind
from sockhost.sockets.reconnecting import SocketClientKind
from sockhost.sockets.unit import SocketKind
from sockhost.supervise.cron import CronKind
from sockhost.supervise.process import ProcessKind
from sockhost.supervise.tap import TapKind
from sockhost.workers.pool import WorkerSocketUnit

cron = CronKind()
process = ProcessKind()
redis = RedisKind()
# Composed here, as neither room may import the other.
socket = SocketKind(in_workers=WorkerSocketUnit)
socket_client = SocketClientKind()
tap = TapKind()
