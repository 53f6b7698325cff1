"""A client: follows the stream of one instance at a time, resumes at another, and keeps a transcript."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(slots=True)
class Client:
    """What a client was sent: ids of prices in order, announced gaps, and when the last price came."""

    name: str
    ids: list[int] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    instance: int = 0
    received_at: float = 0.0
    seen: list[str] = field(default_factory=list)  # everything, for people
    is_broken: bool = False  # the connection that it has

    def receive(self, body: bytes, instance: str) -> None:
        now = asyncio.get_running_loop().time()
        for block in body.split(b"\n\n"):
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
            if fields.get(b"event") == b"gap":
                gap = msgspec.json.decode(fields[b"data"])
                self.gaps.append((gap["from"], gap["to"]))
                self.seen.append(f"{now:.3f} {instance} gap {gap['from']}..{gap['to']}")
            elif b"id" in fields:
                self.ids.append(int(fields[b"id"]))
                self.received_at = now
                self.seen.append(f"{now:.3f} {instance} price {self.ids[-1]}")

    def is_announced(self, tick_id: int) -> bool:
        return any(first <= tick_id <= last for first, last in self.gaps)


@dataclass(slots=True)
class Wire:
    """One connection of a client, as ASGI has it."""

    client: Client
    instance: str
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Any) -> None:
        await asyncio.sleep(0)
        if not self.disconnected.is_set() and message["type"] == "http.response.body":
            self.client.receive(message["body"], self.instance)

    async def receive(self) -> dict[str, str]:
        await self.disconnected.wait()
        return {"type": "http.disconnect"}
