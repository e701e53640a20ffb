"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.tls import TlsNode, tls_node


@pytest.fixture(scope="session")
def tls_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsNode]:
    """A broker with TLS, for the whole run; a test that changes its certificate puts a good one back."""
    made = tls_node(tmp_path_factory.mktemp("tls"))
    with made.node:
        yield made
