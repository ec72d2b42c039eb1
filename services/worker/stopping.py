"""How the worker stops, in order:

1. The first SIGTERM or SIGINT sets `draining`: nothing new is received. A long poll under way ends
   by itself, since an aborted one strands its messages; what it brings is handed back at once.
2. Running invocations finish and are acknowledged. Each poller then ends its environment.
3. A second signal, or the drain timeout, sets `forced`: environments are killed and their messages
   handed back. Acknowledgements under way make one last attempt.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stop:
    """The two steps of stopping, as all threads see them. `forced` implies `draining`."""

    draining: threading.Event = field(default_factory=threading.Event)
    forced: threading.Event = field(default_factory=threading.Event)

    def drain(self) -> None:
        self.draining.set()

    def force(self) -> None:
        self.draining.set()
        self.forced.set()
