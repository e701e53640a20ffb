"""What each role needs to be permitted in RabbitMQ, as the command that grants it."""

from __future__ import annotations

import shlex
from typing import Final, Literal

from fanlight.common.model.address import BrokerAddress

Role = Literal["producer", "consumer", "detector"]

# What a detector declares: its results, and the queues that pools of workers share.
_RESULTS: Final = r"fanlight\.(?!control\.)[\w-]+\.(results|pool\.[\w-]+)"

# Configure, write, read: those of the users `producer`, `viewer` and `detector` in broker/definitions.json.
PERMISSIONS: Final[dict[Role, tuple[str, str, str]]] = {
    "producer": (
        r"^(fanlight\.control\.[\w-]+\.[0-9a-f]{6}|fanlight\.[\w-]+(\.intra)?)$",
        r"^(fanlight\.control\.[\w-]+\.[0-9a-f]{6}|fanlight\.[\w-]+(\.intra)?|amq\.default)$",
        r"^(fanlight\.control\.[\w-]+\.[0-9a-f]{6}|fanlight\.control)$",
    ),
    "consumer": (
        r"^amq\.gen-.*$",
        r"^(amq\.gen-.*|fanlight\.control)$",
        r"^(amq\.gen-.*|fanlight\.(?!control$)[\w-]+(\.results)?)$",
    ),
    "detector": (
        rf"^(amq\.gen-.*|{_RESULTS})$",
        rf"^(amq\.gen-.*|fanlight\.control|{_RESULTS})$",
        rf"^(amq\.gen-.*|fanlight\.(?!control$)[\w-]+(\.intra)?|{_RESULTS})$",
    ),
}


# All that the roles do, for a user of whom only one refused operation is known.
_ALL: Final = (r"^(fanlight|amq)\.",) * 3


def grant(address: BrokerAddress, role: Role | None) -> str:
    """The command that lets the address's user do what a role does, or all of them if none is given."""
    patterns = _ALL if role is None else PERMISSIONS[role]
    return f"rabbitmqctl set_permissions -p {shlex.join((address.vhost, address.user, *patterns))}"
