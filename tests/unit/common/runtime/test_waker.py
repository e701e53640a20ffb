from __future__ import annotations

import threading

from fanlight.common.runtime.waker import Waker
from tests.support.timing import scaled


def test_a_wake_before_the_wait_is_not_lost_and_several_count_as_one() -> None:
    waker = Waker()
    assert waker.wake()
    assert waker.wake()
    assert waker.wait(scaled(5))
    assert not waker.wait(0)


def test_another_thread_ends_the_wait() -> None:
    waker = Waker()
    threading.Thread(target=waker.wake).start()
    assert waker.wait()
