"""What programs get to find a broker by: never by their command lines."""

from __future__ import annotations

import pytest

from scripts.lib.broker import Found, environment

OWN = Found("amqp://fanlight:fanlight@localhost:5672/fanlight", started=True)
GIVEN = Found("amqps://ann@host/v", started=False)
LETS_IN = {"FANLIGHT_PASSWORD": "pw", "FANLIGHT_CA": "ca.pem", "FANLIGHT_TOKEN_FILE": "token"}
OTHERS = {"PATH": "/bin", "FANLIGHT_FPS": "5"}


def test_what_lets_us_in_at_the_brokers_of_the_caller_goes_with_its_url() -> None:
    caller = OTHERS | LETS_IN | {"FANLIGHT_URL": GIVEN.url}
    assert environment(GIVEN, caller) == caller


@pytest.mark.parametrize("url", [{}, {"FANLIGHT_URL": "amqp://ann@elsewhere/v"}])
def test_and_is_left_out_where_another_broker_is_used(url: dict[str, str]) -> None:
    assert environment(OWN, OTHERS | LETS_IN | url) == OTHERS | {"FANLIGHT_URL": OWN.url}


def test_no_url_is_shown() -> None:
    assert "fanlight:fanlight" not in repr(OWN)
