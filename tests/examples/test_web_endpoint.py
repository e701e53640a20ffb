from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import simplejpeg

from fanlight.common.model.pixels import Pixels
from tests.support.commands import Command
from tests.support.examples import Showing, check_ends, example, printed
from tests.support.timing import scaled


def picture(_capture_ns: int) -> Pixels:
    return np.full((48, 64, 3), 80, np.uint8)


@contextmanager
def asked(command: Command, path: str) -> Iterator[http.client.HTTPResponse]:
    place = urlsplit(printed(command, r"http://\S+").group())
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=scaled(20))
    with closing(connection):
        connection.request("GET", path)
        with connection.getresponse() as response:
            assert response.status == 200
            yield response


def state(command: Command) -> dict[str, Any]:
    with asked(command, "/state") as response:
        told: dict[str, Any] = json.load(response)
        return told


@pytest.mark.parametrize("by_ctrl_c", [False, True])
def test_requests_are_answered_with_what_comes_next_until_the_end(
    broker_url: str, stream: str, by_ctrl_c: bool
) -> None:
    with (
        ExitStack() as camera,
        example("web_endpoint", broker_url, stream, "0") as command,
    ):
        camera.enter_context(Showing(broker_url, stream, picture))
        first, second = state(command), state(command)
        assert second["seq"] > first["seq"]
        assert first["brightness"] == pytest.approx(80, abs=2)
        assert first["age_s"] <= 0.5
        with asked(command, "/stream") as watching:  # a browser is there until the end
            for _ in range(5):
                assert watching.readline() == b"--frame\r\n"
                headers = http.client.parse_headers(watching)
                body = watching.read(int(headers["Content-Length"]))
                assert simplejpeg.decode_jpeg(body).shape == (48, 64, 3)
                watching.readline()
            if not by_ctrl_c:
                camera.close()
            check_ends(command, by_ctrl_c=by_ctrl_c)
