"""The streams of a broker, or of a producer without one: those that the directory lists."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from fanlight.common import transport
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import Codec
from fanlight.common.model.result import Result
from fanlight.common.runtime.settings import AddressSettings
from fanlight.consumer.wall.feed import post
from fanlight.consumer.wall.result_feed import ResultSource
from fanlight.consumer.wall.settings import WallSettings
from fanlight.consumer.wall.source import Subscription
from fanlight.consumer.wall.streams import GRACE_S, Streams

_STOP_S: Final = 1.0


class BrokerStreams(Streams):
    """See `Streams`.

    Args:
        on_failed: called, on any thread, if the directory cannot be received.
    """

    def __init__(
        self,
        settings: WallSettings,
        on_failed: Callable[[FanlightError], None],
        *,
        grace_s: float = GRACE_S,
    ) -> None:
        super().__init__(
            settings,
            lambda stream, *report: Subscription(stream, settings, *report),
            partial(result_source, settings, settings.name, ()),
            grace_s=grace_s,
        )

        def on_change(live: tuple[Announcement, ...]) -> None:
            post(self.loop, lambda: self.announced(live))

        self._directory = transport.directory(
            settings.url,
            settings.credentials,
            name=settings.name,
            on_change=on_change,
            on_failed=on_failed,
        )
        self.announced(())
        self._directory.start()

    def announced(self, live: tuple[Announcement, ...]) -> None:
        """Those that `--streams` names are listed in any case: not every producer announces itself."""
        there = {each.stream for each in live}
        named = [
            Announcement(stream=each, codec=Codec.H264, fps=30.0)
            for each in self.settings.named
            if each not in there
        ]
        super().announced(tuple(sorted((*live, *named), key=lambda each: each.stream)))

    async def stop(self) -> None:
        stopping = self.loop.run_in_executor(None, self._directory.stop, _STOP_S)
        await super().stop()
        await stopping


def result_source(
    address: AddressSettings,
    name: str,
    trust: tuple[str, ...],
    stream: str,
    on_result: Callable[[Result], None],
    on_failed: Callable[[FanlightError], None],
) -> ResultSource:
    """The results of a stream. Raises `ConfigError` without a broker."""
    return transport.results(
        address.url,
        address.credentials,
        stream=stream,
        name=name,
        on_result=on_result,
        on_failed=on_failed,
        trust=trust,
    )
