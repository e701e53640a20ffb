"""One link alone, against a real broker: its thread, its channels, and the end of both."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest
from pika.channel import Channel

from fanlight.common.model.errors import BrokerRefused, FanlightError
from fanlight.common.transport.amqp import topology
from fanlight.common.transport.amqp.declare_exchange import ExchangeDeclaration
from fanlight.common.transport.amqp.link import Link
from fanlight.common.transport.amqp.pool_binding import PoolBinding
from tests.support.addresses import broker_address
from tests.support.cut_login import login_cut
from tests.support.roles import channel_of
from tests.support.timing import scaled, wait_until


class Owner:
    """Takes down what its link tells it."""

    def __init__(self, url: str) -> None:
        self.told: queue.Queue[Channel | FanlightError | None] = queue.Queue()
        self.link = Link(broker_address(url), self, title="test link", on_failed=self.told.put)

    def on_channel(self, channel: Channel) -> None:
        self.link.established()
        self.told.put(channel)

    def on_down(self) -> None:
        self.told.put(None)

    def next(self) -> Channel | FanlightError | None:
        return self.told.get(timeout=scaled(5))

    def channel(self) -> Channel:
        told = self.next()
        assert isinstance(told, Channel)
        return told

    def usable(self, channel: Channel) -> bool:
        """As the link's thread sees it."""
        answers: queue.Queue[bool] = queue.Queue()
        self.link.call(lambda: answers.put(self.link.usable(channel)))
        return answers.get(timeout=scaled(5))


@pytest.fixture
def owner(broker_url: str) -> Iterator[Owner]:
    made = Owner(broker_url)
    made.link.start()
    yield made
    made.link.stop(2)
    assert "test link" not in [thread.name for thread in threading.enumerate()]


def test_a_channel_that_is_renewed_is_not_usable_any_more(owner: Owner) -> None:
    first = owner.channel()
    assert owner.usable(first)
    owner.link.call(lambda: owner.link.renew("the test says so"))
    assert owner.next() is None
    second = owner.channel()
    assert owner.usable(second)
    assert not owner.usable(first)


def test_a_timer_of_a_link_that_closes_finds_its_channel_unusable(owner: Owner) -> None:
    channel = owner.channel()
    found: queue.Queue[bool] = queue.Queue()

    def close() -> None:
        owner.link.close()
        owner.link.call(lambda: found.put(owner.link.usable(channel)))  # the close is under way

    owner.link.call(close)
    owner.link.stop(2)
    assert found.get(timeout=scaled(5)) is False


def test_a_further_channel_may_be_closed_by_the_broker_without_harm(owner: Owner) -> None:
    channel = owner.channel()
    closed: queue.Queue[str] = queue.Queue()

    def opened(further: Channel) -> None:
        further.add_on_close_callback(lambda _channel, error: closed.put(str(error)))
        further.exchange_declare("no-such-exchange", passive=True)

    owner.link.call(lambda: owner.link.further_channel(opened))
    assert "NOT_FOUND" in closed.get(timeout=scaled(5))
    assert owner.usable(channel)


def test_what_is_called_after_the_end_is_ignored(owner: Owner) -> None:
    owner.channel()
    owner.link.stop(2)
    assert owner.next() is None
    owner.link.call(lambda: owner.told.put(None))
    owner.link.stop(2)
    assert owner.told.empty()


def test_a_refusal_is_final_and_told_once(broker_url: str) -> None:
    refused = Owner(broker_url.replace(":fanlight@", ":wrong@"))
    refused.link.start()
    told = refused.next()
    assert isinstance(told, BrokerRefused)
    refused.link.stop(2)
    assert refused.told.empty()


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_connection_cut_during_the_first_login_is_made_again(
    broker_url: str, after: int, reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with login_cut(broker_url, after, reset=reset) as url:
        cut = Owner(url)
        cut.link.start()
        cut.channel()
        cut.link.stop(2)
    assert "password" not in caplog.text


def test_a_link_without_an_owner_for_its_failure_tries_for_ever(
    owner: Owner, broker_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """For instance, that of the producer's control messages: a right password may come later."""
    link = Link(
        broker_address(broker_url.replace(":fanlight@", ":wrong@")),
        owner,
        title="test link",
        quiet=True,
    )
    link.start()
    try:
        wait_until(
            lambda: caplog.text.count("test link: ") >= 2, 15, "it tries again, and says why it has to"
        )
        assert "refused the user name or password" in caplog.text
    finally:
        link.stop(2)


def test_an_error_of_its_owner_ends_it_and_is_told(broker_url: str) -> None:
    broken = Owner(broker_url)
    broken.link.start()
    broken.channel()
    broken.link.call(lambda: broken.told.put(1 / 0))  # type: ignore[arg-type]
    told = broken.next()
    assert isinstance(told, FanlightError)
    assert "internal error: ZeroDivisionError" in str(told)
    broken.link.stop(2)


def test_a_member_of_a_pool_may_end_while_it_looks_for_the_branch(
    owner: Owner, broker_url: str, stream: str
) -> None:
    channel = owner.channel()
    binding = PoolBinding(owner.link, stream, ExchangeDeclaration())

    def look_and_end() -> None:
        binding.inter_coded(channel)
        # Opened after the channel that the member looks with, and before that one is answered.
        owner.link.further_channel(lambda _channel: owner.link.close())

    with channel_of(broker_url) as other:
        other.exchange_declare(topology.intra_exchange(stream), "fanout", durable=True)
        owner.link.call(look_and_end)
        assert owner.next() is None, "down, and no failure"
        owner.link.stop(2)
        other.exchange_delete(topology.intra_exchange(stream))
    assert owner.told.empty()
