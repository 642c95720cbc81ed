"""Whether the other processes still answer: one that was stopped or cut off ends the whole job."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from d2l_bn.cluster.launched import tell_supervisor
from d2l_bn.cluster.processes import Processes

PERIOD = 0.5  # seconds between two signs of life
LIMIT = 18.0  # seconds without one, after which a process counts as lost
ALIVE, LEAVING = 0, 1  # the tags of messages, which are empty


class Heartbeat(threading.Thread):
    """Exchanges signs of life: process 0 with all others, the others with process 0.

    A thread of its own does this, which also runs while MXNet computes or a file is written: a slow
    process answers, a stopped one doesn't. `names` has that of each process in a message.
    """

    def __init__(self, processes: Processes, names: list[str]) -> None:
        super().__init__(daemon=True)
        self.processes = processes
        self.comm = processes.channel().comm
        self.names = names
        self.silent = dict.fromkeys(range(1, self.comm.size) if self.comm.rank == 0 else [0], 0.0)
        self.sent: list[Any] = []
        self.leaving: set[int] = set()
        self.done = threading.Event()

    def run(self) -> None:
        """Send and receive until `stop`."""
        last = time.monotonic()
        while not self.done.wait(PERIOD):
            now = time.monotonic()
            # Where all are paused together, as on a machine that sleeps, nobody is to blame.
            passed, last = min(now - last, 2 * PERIOD), now
            self.sent = [request for request in self.sent if not request.Test()]
            for peer in self.silent:
                self.silent[peer] += passed
                if self.receive(peer):
                    self.silent[peer] = 0.0
                self.send(peer, ALIVE)
            # If it is process 0 that is lost, all others notice, and one says so first.
            patience = LIMIT + min(self.comm.rank, 6) * PERIOD
            for peer, seconds in self.silent.items():
                if seconds > patience:
                    self.give_up(peer)

    def send(self, peer: int, tag: int) -> None:
        """Send an empty message; MPI may crash if `peer` has gone, so not to one that leaves."""
        if peer not in self.leaving:
            self.sent.append(self.comm.Isend(b"", dest=peer, tag=tag))

    def receive(self, peer: int) -> bool:
        """Take all signs of life that have come from `peer`; whether there were any."""
        any_came = False
        while self.comm.Iprobe(source=peer, tag=ALIVE):
            self.comm.Recv(bytearray(), source=peer, tag=ALIVE)
            any_came = True
        if self.comm.Iprobe(source=peer, tag=LEAVING):
            self.leaving.add(peer)
        return any_came

    def give_up(self, peer: int) -> None:
        """Say which process is lost, and end the whole job."""
        print(
            f"\nd2l-bn: {self.names[peer]} has not answered for {self.silent[peer]:.0f} s: it was "
            f"stopped, or its machine can't be reached. {self.processes.advice}",
            file=sys.stderr,
            flush=True,
        )
        tell_supervisor(advice="", lost=True)  # the advice has been given
        os._exit(1)  # the launcher then ends all; MPI's own Abort would not end in order

    def leave(self) -> None:
        """End before the others, with an error; the launcher will end them."""
        self.done.set()
        self.join()
        for peer in self.silent:
            self.send(peer, LEAVING)
        end = time.monotonic() + PERIOD
        while not all(request.Test() for request in self.sent) and time.monotonic() < end:
            time.sleep(PERIOD / 10)

    def stop(self) -> None:
        """End, when all processes have come so far."""
        self.done.set()
        self.join()
        self.processes.wait_for_all()
        for peer in self.silent:  # or MPI complains, at its end, of what nobody received
            self.receive(peer)
