"""The stream as a log: appended to only behind a known sequence, read by sequence. No consumers.

Needs NATS 2.11 or newer, for reading many messages with one request.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RePublish, StorageType, StreamConfig
from nats.js.errors import APIError, BadRequestError, NotFoundError

from btc_price_tracker.broker.nats.errors import WRONG_SEQUENCE, attempt
from btc_price_tracker.broker.nats.names import EXPECTED, OWNER, SEQUENCE, SUBJECT, TICK, Names
from btc_price_tracker.broker.options import History
from btc_price_tracker.errors import BrokerUnavailable

PAGE = 200  # messages in one answer

_IN_USE = 10058  # error code: the stream exists with another configuration


class Conflict(Exception):
    """The last message isn't the one behind which to append."""


class Entry(NamedTuple):
    """A message in the stream."""

    sequence: int
    subject: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def tick_id(self) -> int | None:
        """The id of its tick."""
        return number(self.headers, TICK)

    @property
    def owner(self) -> str | None:
        """The token of the term that sent it."""
        return self.headers.get(OWNER)


class Log:
    """The stream over one connection. Every method may raise BrokerUnavailable."""

    def __init__(self, client: Client, names: Names, seconds: float) -> None:
        """Give each request so many seconds."""
        self.client = client
        self.names = names
        self._seconds = seconds
        self._stream = JetStreamContext(client, timeout=seconds)

    async def ensure(self, history: History) -> None:
        """Create the stream, or give it the limits that `history` says; what else an operator has set stays."""
        wanted = _configuration(self.names, history)
        async with attempt(self._seconds):
            try:
                await self._stream.add_stream(
                    StreamConfig(name=self.names.stream, storage=StorageType.FILE, **wanted)
                )
            except BadRequestError as error:
                if error.err_code != _IN_USE:
                    raise
                current = (await self._stream.stream_info(self.names.stream)).config
                await self._stream.update_stream(current.evolve(**wanted))

    async def bounds(self) -> tuple[int, int]:
        """The sequences of the oldest and the newest message, of any subject."""
        async with attempt(self._seconds):
            state = (await self._stream.stream_info(self.names.stream)).state
        return state.first_seq, state.last_seq

    async def last(self, subject: str) -> Entry | None:
        """The newest message on a subject."""
        return await self._get(subject=subject)

    async def next(self, sequence: int, subject: str) -> Entry | None:
        """The oldest message on a subject at or behind a sequence."""
        return await self._get(seq=sequence, subject=subject, next=True)

    async def append(self, subject: str, body: bytes, headers: Mapping[str, str], *, behind: int) -> int:
        """Append a message behind a sequence, and return its own. Raises Conflict."""
        async with attempt(self._seconds):
            try:
                ack = await self._stream.publish(subject, body, headers={**headers, EXPECTED: str(behind)})
            except APIError as error:
                if error.err_code == WRONG_SEQUENCE:
                    raise Conflict from error
                raise
        return ack.seq

    async def ticks(self, sequence: int) -> AsyncGenerator[Entry, None]:
        """The messages with ticks at or behind a sequence, oldest first, up to the newest one."""
        while True:
            page = await self._page(sequence)
            for entry in page:
                yield entry
            if len(page) < PAGE:
                return
            sequence = page[-1].sequence + 1

    async def _get(self, seq: int | None = None, subject: str | None = None, **options: bool) -> Entry | None:
        async with attempt(self._seconds):
            try:
                message = await self._stream.get_msg(self.names.stream, seq, subject, **options)
            except NotFoundError:
                return None
        return Entry(message.seq or 0, message.subject or "", message.headers or {}, message.data or b"")

    async def _page(self, sequence: int) -> list[Entry]:
        request = {"seq": sequence, "batch": PAGE, "next_by_subj": self.names.ticks}
        answers: asyncio.Queue[Msg] = asyncio.Queue()
        page: list[Entry] = []
        async with attempt(self._seconds):
            inbox = self.client.new_inbox()
            subscription = await self.client.subscribe(inbox, cb=answers.put)
            try:
                subject = f"$JS.API.DIRECT.GET.{self.names.stream}"
                await self.client.publish(subject, json.dumps(request).encode(), reply=inbox)
                while SEQUENCE in ((answer := await answers.get()).headers or {}):
                    page.append(entry_of(answer))
            finally:
                await subscription.unsubscribe()
        if (status := (answer.headers or {}).get("Status")) not in {"204", "404"}:  # 204 ends it, 404: none
            raise BrokerUnavailable(f"nats: it can't read its stream {self.names.stream} (status {status})")
        return page


def entry_of(message: Msg) -> Entry:
    """The entry that the server has sent; its sequence is 0 if another has sent it."""
    headers = message.headers or {}
    return Entry(number(headers, SEQUENCE) or 0, headers.get(SUBJECT, ""), headers, message.data)


def number(headers: Mapping[str, str], name: str) -> int | None:
    """A header as a number, None where it isn't one."""
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _configuration(names: Names, history: History) -> dict[str, Any]:
    """Republishing is the live path: only what the stream has accepted gets there, so a former leader can't."""
    return {
        "subjects": [names.ticks, names.status, names.lease],
        "max_msgs": history.ticks + 2,
        "max_age": history.seconds,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "republish": RePublish(src=">", dest=f"{names.live}.>"),
    }
