"""Ctrl-C at a moment when Python swallows what it raises."""

import signal

import pytest

from training.interruption import heed, remembered


class Swallows:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)  # nothing that is raised here gets out


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_was_swallowed_is_heard_at_the_next_step() -> None:
    with remembered():
        heed()
        swallowed = Swallows()
        del swallowed
        with pytest.raises(KeyboardInterrupt):
            heed()
        heed()  # once


def test_it_is_raised_at_once_and_forgotten_by_the_next_command() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), remembered():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    with remembered():
        heed()
