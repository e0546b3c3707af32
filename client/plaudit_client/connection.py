"""The I/O around the protocol: one task for the socket, one timer, futures for calls."""

import asyncio
import contextlib
import logging
import random
import weakref
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp

from plaudit_client import effects as fx
from plaudit_client.dialling import CLOSE_TIMEOUT, dial
from plaudit_client.errors import Loss, PlauditError
from plaudit_client.frames import SUBPROTOCOL, Welcome
from plaudit_client.observer import Observer, Observers
from plaudit_client.options import Options
from plaudit_client.protocol import Protocol
from plaudit_client.subscription import AnySubscription, Subscription
from plaudit_client.token_source import Token, TokenSource
from plaudit_client.values import OtherPush, OwnUpdate, Update, own

U = TypeVar("U", Update, OwnUpdate)
logger = logging.getLogger("plaudit_client")

TARGETS_PER_CALL = 1_000
_CLOSES = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)


class Connection:
    """Runs between `start` and `close`, on the event loop of its creation."""

    def __init__(self, urls: Sequence[str], token: Token, hello: Mapping[str, Any], options: Options) -> None:
        self._urls = deque(urls)
        self._tokens = TokenSource(token, options.dial_timeout)
        self._options = options
        self._protocol = Protocol(hello, options, random.random, can_renew=self._tokens.can_renew)
        self._now = asyncio.get_running_loop().time
        self._answers: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._subscriptions: weakref.WeakSet[AnySubscription] = weakref.WeakSet()
        self._output: deque[str] = deque()
        self._has_output = asyncio.Event()
        self._dial_requested = asyncio.Event()
        self._close_requested = asyncio.Event()
        self._close_code = 1000
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._session_changed = asyncio.Event()
        self._is_open = False
        self._loss = Loss(reason="no answer")
        self._tasks: set[asyncio.Task[None]] = set()
        self.welcome = Welcome()
        self.verdict = ""
        self.observers = Observers()

    @property
    def ended(self) -> bool:
        """Whether the client has ended: all calls fail."""
        return self._protocol.ended

    @property
    def is_backlog_pending(self) -> bool:
        """Whether the server pushes what the device has not received, and has not said that it is all."""
        return self._protocol.resume_state.is_backlog_pending

    async def start(self, timeout: float) -> None:
        """Returns once there is a session. Raises PlauditError where the server refuses or does not answer in time."""
        self._task = asyncio.create_task(self._run(), name="plaudit-client")
        self._perform(self._protocol.start())
        try:
            async with asyncio.timeout(timeout):
                await self._session_changed.wait()
        except TimeoutError:
            raise PlauditError("UNAVAILABLE", "NOT_CONNECTED", f"no session in {timeout:g} s: {self._loss}") from None
        if self._protocol.error is not None:
            raise self._protocol.error

    async def close(self) -> None:
        """Closes the socket, within a second; ends every call and subscription."""
        self._perform(self._protocol.close())
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        if self._task is not None:
            if self._is_open:  # the ended protocol closes the socket: wait for the close frame
                await asyncio.wait([self._task], timeout=2 * CLOSE_TIMEOUT)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def call(
        self, frame_type: str, fields: Mapping[str, Any], *, timeout: float, repeat: bool, wait_for_rate_limit: bool
    ) -> Mapping[str, Any]:
        """Returns the answer's fields, or raises PlauditError."""
        call_id, effects = self._protocol.call(
            frame_type, fields, self._now() + timeout, repeat=repeat, wait_for_rate_limit=wait_for_rate_limit
        )
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[call_id] = answer
        self._perform(effects)
        try:
            return await answer
        finally:
            del self._answers[call_id]
            if not answer.done() or answer.cancelled():
                self._perform(self._protocol.forget(call_id))

    def subscribe(self, subscription: Subscription[U]) -> Subscription[U]:
        """Delivers updates to a subscription until it releases its topics."""
        asked: list[fx.Effect] = self._protocol.subscribe(subscription.topics)
        self._subscriptions.add(subscription)
        # Other subscriptions skip updates that they have by their version.
        self._perform([*self._protocol.known(subscription.topics), *asked])
        return subscription

    def release(self, topics: Sequence[str]) -> None:
        """Unsubscribes from the topics of an ended subscription."""
        self._perform(self._protocol.unsubscribe(topics))

    def hold_pushes(self, holder: Observer) -> None:
        """Reports pushes to `holder`, and acknowledges none that arrive from now on, until `take_pushes`."""
        self.observers.add(holder)
        self._protocol.resume_state.hold()

    def take_pushes(self, holder: Observer) -> None:
        """Ends `hold_pushes`: what was held is acknowledged."""
        self.observers.remove(holder)
        self._protocol.resume_state.release()
        self._schedule_tick()

    def _perform(self, effects: Sequence[fx.Effect]) -> None:
        for effect in effects:
            match effect:
                case fx.Send(text=text):
                    self._output.append(text)
                    self._has_output.set()
                case fx.Answered(id=call_id, fields=fields):
                    if (answer := self._answers.get(call_id)) is not None and not answer.done():
                        answer.set_result(fields)
                case fx.Failed(id=call_id, error=error):
                    if (answer := self._answers.get(call_id)) is not None and not answer.done():
                        answer.set_exception(error)
                case fx.Deliver(update=OtherPush() as push):
                    self.observers.push(push)
                case fx.Deliver(update=(Update() | OwnUpdate()) as update):
                    for subscription in list(self._subscriptions):
                        if update.topic in subscription.topics:  # it decides the kind
                            subscription.offer(update)  # type: ignore[arg-type]
                case fx.Confirmed(topics=topics):
                    for subscription in list(self._subscriptions):
                        subscription.confirm(topics)
                case fx.TopicsRefused(topics=topics, error=error):
                    for subscription in list(self._subscriptions):
                        subscription.refuse(topics, error)
                case fx.Dial():
                    self._dial_requested.set()
                case fx.RenewToken():
                    self._start(self._renew())
                case fx.CloseSocket(code=code):
                    self._close_code = code
                    self._close_requested.set()
                case fx.Ready(welcome=welcome, verdict=verdict):
                    self.welcome, self.verdict = welcome, verdict
                    self._session_changed.set()
                case fx.Reload(targets=targets):
                    for subscription in list(self._subscriptions):
                        subscription.miss()
                    self.observers.missed()
                    for start in range(0, len(targets), TARGETS_PER_CALL):
                        self._start(self._reload(targets[start : start + TARGETS_PER_CALL]))
                case fx.BacklogDone(incomplete=incomplete):
                    self.observers.backlog_done(incomplete)
                case fx.Ended(error=error):
                    for subscription in list(self._subscriptions):
                        subscription.end(error)
                    self.observers.ended(error)
                    self._session_changed.set()
                    self._dial_requested.set()
        self._schedule_tick()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self) -> None:
        try:
            token = await self._tokens.load()
        except Exception as error:
            logger.warning("there is no new token: %r", error)
            token = self._tokens.last
        is_new, self._tokens.last = token != self._tokens.last, token
        self._perform(self._protocol.renew(token if is_new else "", self._now()))

    async def _reload(self, targets: Sequence[str]) -> None:
        fields, timeout = {"targets": targets}, self._options.call_timeout
        try:
            answer = await self.call(
                "get_own_reactions", fields, timeout=timeout, repeat=True, wait_for_rate_limit=True
            )
            self._perform(self._protocol.reloaded(own(answer)))
        except PlauditError as error:
            logger.warning("own reactions could not be loaded: %s", error)

    def _schedule_tick(self) -> None:
        """Sets the timer to the next `tick` of the protocol."""
        due = self._protocol.wakeup()
        if self._timer is not None and (due is None or self._timer.when() > due or self._timer.cancelled()):
            self._timer.cancel()
            self._timer = None
        if due is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._perform(self._protocol.tick(self._now()))

    async def _run(self) -> None:
        try:
            async with aiohttp.ClientSession() as http:
                while True:
                    await self._dial_requested.wait()
                    self._dial_requested.clear()
                    if self._protocol.ended:
                        return
                    self._loss = await self._one_socket(http)
                    if self._protocol.needs_other_address(self._loss):
                        self._urls.rotate(-1)
                    logger.info("socket lost: %s", self._loss)
                    self._perform(self._protocol.lost(self._loss, self._now()))
        except PlauditError as error:  # the token callable has no further token
            self._perform(self._protocol.close(error))
        except Exception as error:  # a token callable that fails, or a bug: pending calls must fail
            logger.exception("the client failed")
            self._perform(self._protocol.close(PlauditError("INTERNAL", "CLIENT_FAILED", repr(error))))

    async def _one_socket(self, http: aiohttp.ClientSession) -> Loss:
        try:
            self._tokens.last = await self._tokens.load()
        except PlauditError:
            raise
        except Exception as error:
            if not (self.welcome.session or isinstance(error, TimeoutError)):
                raise
            logger.warning("there is no new token: %r", error)
            return Loss(reason="there is no new token")
        socket = await dial(http, self._urls[0], self._tokens.last, self._options)
        if isinstance(socket, Loss):
            return socket
        try:
            self._is_open = True
            if socket.protocol != SUBPROTOCOL:
                return Loss(reason=f"the server does not speak {SUBPROTOCOL}", status=400)
            return await self._run_session(socket)
        finally:
            self._is_open = False
            with contextlib.suppress(aiohttp.ClientError, OSError, UnicodeEncodeError):
                await socket.close(code=self._close_code)

    async def _run_session(self, socket: aiohttp.ClientWebSocketResponse) -> Loss:
        self._output.clear()
        self._close_requested.clear()
        self._close_code = 1000
        self._perform(self._protocol.opened(self._now()))
        read = asyncio.create_task(self._read(socket))
        write = asyncio.create_task(self._write(socket))
        hangup = asyncio.create_task(self._close_requested.wait())
        tasks: set[asyncio.Task[Any]] = {read, write, hangup}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if read.done() and not read.cancelled() and read.exception() is None:
            return read.result()
        return Loss(code=1006, reason="hung up" if self._close_requested.is_set() else "the socket broke")

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> Loss:
        while True:
            message = await socket.receive()
            if message.type in _CLOSES:
                return Loss(code=socket.close_code or 1006, reason=message.extra or "")
            if message.type is not aiohttp.WSMsgType.TEXT:
                self._close_code = 1003
                return Loss(reason=f"not a text message: {message.type.name}")
            self._perform(self._protocol.received(message.data, self._now()))

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            while self._output:
                await socket.send_str(self._output.popleft())
            self._has_output.clear()
            await self._has_output.wait()
