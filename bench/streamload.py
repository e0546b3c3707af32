"""Toggles reactions of many users by StreamReactions: batches on one stream, all answers checked; prints JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import AbstractContextManager
from typing import Any

import grpc

from bench.processes import DRIVER_CPU, BenchError, Process, python, running
from bench.system import THUMB, System
from kit.ids import new_id
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_pb2, reaction_service_pb2_grpc

TICKS = 100  # batches a second if a rate is given


class Load:
    """One stream. User `n % users` makes toggle `n`, so that the final reactions are known."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._window = asyncio.Semaphore(options.window)
        self._sent: list[tuple[int, float]] = []  # first toggle and due time of each batch, in order
        self._standing = bytearray(options.users)
        self._versions: dict[str, int] = {}
        self.latencies: list[float] = []
        self.acked = 0
        self.faults: list[str] = []

    def target(self, number: int) -> str:
        """The target of one toggle: each user has one target."""
        return f"{self._options.target}{number % self._options.users % self._options.targets}"

    def _batch(self, first: int, size: int) -> pb.StreamReactionsRequest:
        users = self._options.users
        return pb.StreamReactionsRequest(
            changes=[
                reaction_pb2.Change(
                    target=self.target(number),
                    emoji=THUMB,
                    action=reaction_pb2.ACTION_TOGGLE,
                    op_id=new_id(),
                    user=f"u{number % users}",
                )
                for number in range(first, first + size)
            ]
        )

    async def write(self, call: Any) -> None:
        """Sends batches until the time ends, then closes the stream."""
        options, began, number = self._options, time.monotonic(), 0
        size = options.batch if not options.rate else max(1, round(options.rate / TICKS))
        while time.monotonic() < began + options.seconds:
            due = time.monotonic()
            if options.rate:
                due = began + number / options.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._window.acquire()
            self._sent.append((number, due))
            await call.write(self._batch(number, size))
            number += size
        await call.done_writing()

    async def read(self, call: Any) -> None:
        """Checks the answers until the stream ends."""
        answered = 0
        async for response in call:
            first, due = self._sent[answered]
            answered += 1
            self._window.release()
            self.latencies.append(time.monotonic() - due)
            self._check(first, response)
        if answered != len(self._sent):
            self.faults.append(f"{len(self._sent) - answered} of {len(self._sent)} batches were never answered")

    def _check(self, first: int, response: pb.StreamReactionsResponse) -> None:
        users, standing = self._options.users, self._standing
        for number, outcome in enumerate(response.outcomes, first):
            user = number % users
            if outcome.HasField("error"):
                self.faults.append(outcome.error.message)
                continue
            self.acked += 1
            standing[user] ^= 1
            if outcome.on != standing[user]:
                self.faults.append(f"toggle {number}: on is {outcome.on}")
            if outcome.version < self._versions.get(self.target(number), 0):
                self.faults.append(f"toggle {number}: the version went back")
            self._versions[self.target(number)] = outcome.version

    def report(self, seconds: float) -> dict[str, Any]:
        """The results."""
        waits = sorted(self.latencies) or [0.0]
        return {
            "acked": self.acked,
            "seconds": seconds,
            "rate": self.acked / seconds,
            "standing": sum(self._standing),
            "last_version": max(self._versions.values(), default=0),
            "faults": len(self.faults),
            "first_fault": self.faults[0] if self.faults else "",
            "batch_ms": {name: waits[int(share * (len(waits) - 1))] * 1e3 for name, share in _SHARES.items()},
            "cpu_share": time.process_time() / seconds,
        }


_SHARES = {"p50": 0.5, "p99": 0.99, "max": 1.0}


async def _run(options: argparse.Namespace) -> None:
    limits = [("grpc.max_receive_message_length", 4 << 20), ("grpc.max_send_message_length", 4 << 20)]
    async with grpc.aio.insecure_channel(options.address, options=limits) as channel:
        await channel.channel_ready()
        stub: Any = reaction_service_pb2_grpc.ReactionServiceStub(channel)
        load = Load(options)
        call = stub.StreamReactions(metadata=[("authorization", f"Bearer {options.token}")])
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load.write(call))
            tasks.create_task(load.read(call))
        print(json.dumps(load.report(time.monotonic() - began)), flush=True)


def load_process(system: System, **options: object) -> AbstractContextManager[Process]:
    """Runs the load as a process on the core of the driver; options as on its command line."""
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return running(
        "streamload",
        python("-m", "bench.streamload", "--address", system.grpc_address, "--token", system.service_token, *arguments),
        cpu=DRIVER_CPU,
    )


def checked(load: Process, seconds: float) -> dict[str, Any]:
    """The report of a load of so many seconds; raises BenchError if an answer is wrong."""
    report = load.read_answer(seconds + 60)
    if report["faults"] or not report["acked"]:
        raise BenchError(f"toggles by stream: {report['faults']} faults, first: {report['first_fault']!r}")
    return report


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--target", default="messages/stream-")
    parser.add_argument("--targets", type=int, default=1)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--window", type=int, default=6)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
