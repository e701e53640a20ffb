"""What each role needs to be permitted in RabbitMQ, as the command that grants it."""

from __future__ import annotations

import shlex
from typing import Final, Literal

from fanlight.common.model.address import BrokerAddress

Role = Literal["producer", "consumer"]

# Configure, write, read: those of the users `producer` and `viewer` in broker/definitions.json.
PERMISSIONS: Final[dict[Role, tuple[str, str, str]]] = {
    "producer": (
        r"^(fanlight\.control\.[\w-]+\.[0-9a-f]{6}|fanlight\.[\w-]+)$",
        r"^(fanlight\.control\.[\w-]+\.[0-9a-f]{6}|fanlight\.[\w-]+|amq\.default)$",
        r"^(fanlight\.control\.[\w-]+\.[0-9a-f]{6}|fanlight\.control)$",
    ),
    "consumer": (
        r"^amq\.gen-.*$",
        r"^(amq\.gen-.*|fanlight\.control)$",
        r"^(amq\.gen-.*|fanlight\.(?!control$)[\w-]+)$",
    ),
}


# All that both roles do, for a user of whom only one refused operation is known.
_BOTH: Final = (r"^(fanlight|amq)\.",) * 3


def grant(address: BrokerAddress, role: Role | None) -> str:
    """The command that lets the address's user do what a role does, or both if none is given."""
    patterns = _BOTH if role is None else PERMISSIONS[role]
    return f"rabbitmqctl set_permissions -p {shlex.join((address.vhost, address.user, *patterns))}"
