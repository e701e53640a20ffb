"""`examples/pool.py`: worker processes share a stream; what they found is printed in order."""

from __future__ import annotations

import re

import pytest

from fanlight.common.model.pixels import Pixels
from tests.support.examples import Showing, check_ends, example, printed
from tests.support.marked_stream import marked


def noise(capture_ns: int) -> Pixels:
    return marked(capture_ns, 64, 48)


@pytest.mark.parametrize("by_ctrl_c", [False, True])
def test_results_are_printed_in_order_until_the_end(broker_url: str, stream: str, by_ctrl_c: bool) -> None:
    with example("pool", broker_url, stream, "2") as command:
        with Showing(broker_url, stream, noise, codec="h264"):
            for worker in range(2):
                printed(command, f"^frame .*'worker': {worker},")
            if by_ctrl_c:
                check_ends(command, by_ctrl_c=True)
        if not by_ctrl_c:
            check_ends(command)
        found = [re.match(r"frame (\d+): ", line.text) for line in command.out.lines]
        numbers = [int(each[1]) for each in found if each]
        assert len(numbers) == len(found), "nothing else is printed"
        assert numbers == sorted(set(numbers))
