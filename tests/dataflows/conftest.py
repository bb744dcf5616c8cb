from __future__ import annotations

import pytest
from streams import Stream


@pytest.fixture
def stream(environment: dict[str, str]) -> Stream:
    """Return the topics and keys of this test."""
    return Stream(environment)


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def any_stream(request: pytest.FixtureRequest, environment: dict[str, str]) -> Stream:
    """The same on the embedded broker, and on a real Apache Kafka."""
    if request.param == "apache":
        environment["SENTISTREAM_KAFKA__BROKERS"] = request.getfixturevalue("kafka_brokers")
    return Stream(environment)
