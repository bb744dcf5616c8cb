"""Free ports: nobody else gets one that was handed out."""

from __future__ import annotations

import socket

from infra.ports import LOOPBACK, Ports


def test_a_port_is_handed_out_once_while_it_is_claimed() -> None:
    with Ports() as ours, Ports() as theirs:
        port = ours.free()
        assert theirs.free([port]) != port


def test_a_claim_ends_with_its_owner() -> None:
    with Ports() as first:
        port = first.free()
    with Ports() as second:
        assert second.free([port]) == port


def test_a_port_that_something_listens_on_is_passed_over() -> None:
    with socket.create_server((LOOPBACK, 0)) as server, Ports() as ports:
        taken = server.getsockname()[1]
        assert ports.free([taken]) != taken


def test_the_preferred_port_is_taken_when_it_is_free() -> None:
    with Ports() as ports:
        wanted = Ports()
        port = wanted.free()
        wanted.close()
        assert ports.free([port]) == port
