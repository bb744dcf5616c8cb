"""How often and how soon something is started again."""

from infra.restarts import Restarts


def test_each_restart_waits_longer_until_there_were_too_many() -> None:
    restarts = Restarts(limit=6, within_s=100)
    assert [restarts.wait(now) for now in range(7)] == [0.5, 1, 2, 4, 8, 10, None]
    assert restarts.count == 6


def test_old_restarts_are_forgotten() -> None:
    restarts = Restarts(limit=2, within_s=100)
    assert restarts.wait(0) == 0.5
    assert restarts.wait(90) == 1
    assert restarts.wait(99) is None
    assert restarts.wait(101) == 1
