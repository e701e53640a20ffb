from __future__ import annotations

import json

from fanlight.common.transport.amqp.permissions import PERMISSIONS, grant
from tests.support.addresses import broker_address
from tests.support.commands import ROOT


def test_the_permissions_are_those_of_the_definitions() -> None:
    loaded = json.loads((ROOT / "broker" / "definitions.json").read_text())["permissions"]
    users = {entry["user"]: (entry["configure"], entry["write"], entry["read"]) for entry in loaded}
    assert (users["producer"], users["viewer"], users["detector"]) == tuple(PERMISSIONS.values())


def test_the_command_can_be_pasted_into_a_shell() -> None:
    address = broker_address("amqp://ann@h/my%20videos")
    assert grant(address, "consumer").startswith(
        r"rabbitmqctl set_permissions -p 'my videos' ann '^amq\.gen-.*$' "
    )
    both = " ".join([r"'^(fanlight|amq)\.'"] * 3)
    assert grant(address, None) == f"rabbitmqctl set_permissions -p 'my videos' ann {both}"
