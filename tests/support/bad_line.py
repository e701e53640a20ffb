"""A stream over a line that can be made bad: producer or consumer in a network namespace of its own."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import pytest

from fanlight.common.model.pixels import Pixels
from fanlight.consumer import Consumer, Frame
from fanlight.producer.source.frame_code import MODULUS, draw_frame_number, read_frame_number
from scripts.lib.netns import Link, Netns
from scripts.lib.ports import free_ports
from scripts.lib.tcp_proxy import TcpProxy
from scripts.private_node import PASSWORD, USER, VHOST, PrivateNode
from tests.support.marked_stream import Marking, is_marked
from tests.support.timing import scaled
from tests.support.watching import Watcher

MAX_AGE_S = 0.5
FAR = {"producer": "broker", "consumer": "broker", "threads": "threads", "multiplex": "multiplex"}
"""Who is behind the bad line, and with which design; without a broker it is the same line for both."""


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace, and a broker that both sides of the line reach."""

    net: Netns
    node: PrivateNode
    broker_url: str


@dataclass(slots=True)
class Scene:
    """One stream.

    Attributes:
        watcher: sees the producer through the line.
        bystander: does not; it is to notice nothing. None if the producer is behind the line.
    """

    link: Link
    proxy: TcpProxy | None
    feeder: Marking
    watcher: Watcher
    bystander: Watcher | None

    def wait_flow(self, frames: int = 10) -> None:
        """Wait for so many frames, from now on, at every watcher."""
        for watcher in (self.watcher, self.bystander):
            if watcher is not None:
                watcher.wait_flow(frames=frames)

    def faults(self) -> list[str]:
        """What must never be."""
        found = self.watcher.faults(MAX_AGE_S)
        return found + (self.bystander.faults(MAX_AGE_S) if self.bystander else [])


def wait_long(seconds: float) -> None:
    """Let the time of a fault pass: it is the fault, not a wait for something."""
    threading.Event().wait(max(0.0, seconds))


@contextmanager
def made_place() -> Iterator[Place]:
    """A namespace and a private node that listens there too."""
    with Netns() as net, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FANLIGHT_TOKEN", secrets.token_hex(16))  # for producers that listen beyond loopback
        (port,) = free_ports(1)
        node = PrivateNode(extra_conf=f"listeners.tcp.2 = {net.host_address}:{port}")
        node.start(scaled(90))
        try:
            yield Place(net, node, f"amqp://{USER}:{PASSWORD}@{net.host_address}:{port}/{VHOST}")
        finally:
            node.stop()


def _code(capture_ns: int) -> int:
    return capture_ns // 1_000_000 % MODULUS


class Coded(Marking):
    """Pictures that lossy codecs leave readable: something that moves, and the time, written twice."""

    def picture(self, capture_ns: int) -> Pixels:
        width, height = self.size
        image = np.zeros((height, width, 3), np.uint8)
        image[:, :, 1] = (np.arange(width) + capture_ns // 20_000_000) % 256
        image[:, :, 2] = np.arange(height)[:, np.newaxis] % 256
        draw_frame_number(image, _code(capture_ns))
        draw_frame_number(image[: height // 2], _code(capture_ns))
        return image


def _is_coded(frame: Frame) -> bool:
    """Reads both."""
    halves = (frame.image, frame.image[: frame.image.shape[0] // 2])
    return all(read_frame_number(half) == _code(frame.capture_ns) for half in halves)


@contextmanager
def streaming(
    place: Place,
    stream: str,
    far: str,
    *,
    codec: str = "raw",
    fps: float = 30,
    size: tuple[int, int] = (64, 48),
    proxied: bool = False,
) -> Iterator[Scene]:
    """Frames flow, over a line that is good so far.

    Args:
        far: who is behind the line; see `FAR`.
        codec: pixels are compared with those that were sent; if it is lossy, what is written on them.
        proxied: the line is not a network but a proxy, `Scene.proxy`.
    """
    design, net = FAR[far], place.net
    near_url = listens_url = place.node.url
    far_url = place.broker_url
    if design != "broker":
        (port,) = free_ports(1)
        host = "127.0.0.1" if proxied else net.host_address
        near_url, far_url = (f"tcp+{design}://{host}:{port}" for host in ("127.0.0.1", host))
        listens_url = f"tcp+{design}://0.0.0.0:{port}"
    lossless = codec in {"raw", "png"}
    feeding, is_right = (Marking, is_marked) if lossless else (Coded, _is_coded)
    with ExitStack() as stack:
        proxy = None
        behind: AbstractContextManager[None] = nullcontext()
        if proxied:
            proxy = stack.enter_context(_proxy_for(near_url))
            far_url = proxy.url_through(near_url)
        else:
            behind = net.entered()
            stack.callback(net.link.clear)
        where = far_url if far == "producer" else listens_url
        feeder = feeding(where, stream, codec=codec, fps=fps, size=size)
        near = Watcher(Consumer(stream=stream, name="near", url=near_url, max_age_s=MAX_AGE_S), is_right)
        if far == "producer":
            with behind:
                stack.enter_context(feeder)
            scene = Scene(net.link, proxy, feeder, stack.enter_context(near), None)
        else:
            distant = Watcher(
                Consumer(stream=stream, name="far", url=far_url, max_age_s=MAX_AGE_S), is_right
            )
            stack.enter_context(feeder)
            with behind:
                stack.enter_context(distant)
            scene = Scene(net.link, proxy, feeder, distant, stack.enter_context(near))
        scene.wait_flow()
        yield scene


def _proxy_for(url: str) -> TcpProxy:
    port = url.rpartition(":")[2].partition("/")[0]
    return TcpProxy("127.0.0.1", int(port))
