"""Wrong tokens cost time, and little memory."""

from __future__ import annotations

import pytest
from asking import Clock
from hypothesis import given
from hypothesis import strategies as st

from dataflows.throttle import ALL_CLIENTS, MAX_CLIENTS, ONE_CLIENT, Throttle


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


@given(st.lists(st.floats(0, 100), max_size=300))
def test_whatever_the_pace_no_client_gets_more_than_its_limit(pauses: list[float]) -> None:
    clock = Clock()
    start = clock.now
    throttle = Throttle(clock)
    attempts = 0
    for pause in pauses:
        clock.now += pause
        if throttle.wait_s("192.0.2.1") == 0:
            attempts += 1
            throttle.failed("192.0.2.1")
        # Sums of many pauses are rounded.
        assert attempts <= ONE_CLIENT.burst + (clock.now - start) / ONE_CLIENT.pause_s + 1e-6


def test_who_has_waited_as_told_may_try_again(throttle: Throttle, clock: Clock) -> None:
    for _ in range(ONE_CLIENT.burst):
        assert throttle.wait_s("192.0.2.1") == 0
        throttle.failed("192.0.2.1")
    wait_s = throttle.wait_s("192.0.2.1")
    assert wait_s == ONE_CLIENT.pause_s
    clock.now += wait_s
    assert throttle.wait_s("192.0.2.1") == 0
    clock.now += ONE_CLIENT.burst * ONE_CLIENT.pause_s  # all is forgiven
    for _ in range(ONE_CLIENT.burst):
        assert throttle.wait_s("192.0.2.1") == 0
        throttle.failed("192.0.2.1")


def test_the_limit_of_all_is_no_limit_of_one(throttle: Throttle) -> None:
    for number in range(ALL_CLIENTS.burst):
        throttle.failed(f"198.51.100.{number}")
    assert throttle.wait_s("192.0.2.1") == ALL_CLIENTS.pause_s
    assert throttle.client_wait_s("192.0.2.1") == 0


def test_many_guesses_lock_nobody_out_for_long(throttle: Throttle) -> None:
    for number in range(3000):
        throttle.failed(f"198.51.{number // 250}.{number % 250}")
    assert throttle.wait_s("192.0.2.1") == ALL_CLIENTS.longest_s
    for _ in range(1000):
        throttle.failed("192.0.2.2")
    assert throttle.wait_s("192.0.2.2") == ONE_CLIENT.longest_s


def test_memory_is_bounded_and_the_quietest_is_forgotten(throttle: Throttle) -> None:
    for _ in range(ONE_CLIENT.burst):
        throttle.failed("quiet")
    for number in range(MAX_CLIENTS - 1):
        throttle.failed(f"client {number}")
    assert len(throttle) == MAX_CLIENTS
    assert throttle.client_wait_s("quiet") > 0
    for number in range(1000):
        throttle.failed(f"another {number}")
        throttle.failed("noisy")
    assert len(throttle) == MAX_CLIENTS
    assert throttle.client_wait_s("quiet") == 0
    assert throttle.client_wait_s("noisy") > 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::2", True),  # one user has a whole /64
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
        ("x" * 9000, "x" * 9001, True),
    ],
)
def test_what_counts_as_one_client(throttle: Throttle, one: str, other: str, *, same: bool) -> None:
    for _ in range(ONE_CLIENT.burst):
        throttle.failed(one)
    assert (throttle.client_wait_s(other) > 0) == same
