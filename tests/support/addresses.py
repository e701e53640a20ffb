"""The address of a broker, by its URL."""

from __future__ import annotations

from fanlight.common.model.address import BrokerAddress, parse_url


def broker_address(url: str) -> BrokerAddress:
    address = parse_url(url)
    assert isinstance(address, BrokerAddress)
    return address
