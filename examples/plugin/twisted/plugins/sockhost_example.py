"""What the example package makes known to twistd and to sockhost."""

from sockhost_example.heartbeat import HeartbeatKind
from sockhost_example.tap import ClockMaker

heartbeat = HeartbeatKind()
clock = ClockMaker()
