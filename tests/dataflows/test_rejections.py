"""When a worker takes the topic for a wrong one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.rejections import ENOUGH, RejectionLimits
from dataflows.settings import RejectionSettings


def limits(share: float, of_last: int, in_a_row: int) -> RejectionLimits:
    return RejectionLimits(RejectionSettings(share=share, of_last=of_last, in_a_row=in_a_row))


def test_too_many_in_a_row_are_told_with_their_reasons() -> None:
    few = limits(1, 100, 4)
    assert few.count(["bad_json", "bad_json", "bad_utf8"]) is None
    said = few.count(["bad_json"])
    assert said is not None
    assert said.startswith("4 events in a row were rejected (lately: bad_json 3, bad_utf8 1).")
    assert "SENTISTREAM_REJECTIONS__IN_A_ROW" in said


def test_an_accepted_event_begins_a_new_row() -> None:
    few = limits(1, 100, 2)
    assert few.count(["x", None, "x", None, "x"]) is None
    assert few.count(["x"]) is not None


def test_a_share_is_taken_of_a_full_window_alone() -> None:
    half = limits(0.5, 4, 0)
    assert half.count(["x", "x", "x"]) is None
    assert half.count([None]) is None  # told when one is rejected, not when one is accepted
    assert half.count(["x"]) is not None
    assert half.count([None, "x"]) is None  # x - x - … of four: exactly half


@pytest.mark.parametrize("reasons", [["x"] * 50, ["x", None] * 50])
def test_limits_can_be_switched_off(reasons: list[str | None]) -> None:
    assert limits(1, 10, 0).count(reasons) is None


def test_when_the_topic_is_the_right_one_broken_events_stop_nobody() -> None:
    few = limits(0.5, 100, 4)
    assert few.count([None] * ENOUGH) is None
    assert few.count(["bad_json"] * 500) is None
    # What the models fail on counts still, and what is broken in between does not break the row.
    assert few.count(["scoring_failed", "bad_json"] * 3) is None
    assert few.count(["scoring_failed"]) is not None


def test_a_topic_that_was_right_before_the_last_start_is_right() -> None:
    settings = RejectionSettings(share=0.5, of_last=10, in_a_row=4)
    assert RejectionLimits(settings, lambda: True).count(["bad_json"] * 50) is None
    assert RejectionLimits(settings, lambda: False).count(["bad_json"] * 50) is not None


@given(
    st.lists(st.sampled_from([None, "x"]), max_size=80),
    st.integers(1, 12),
    st.integers(0, 8),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_the_verdict_is_that_of_a_plain_count(
    reasons: list[str | None], of_last: int, in_a_row: int, share: float
) -> None:
    bad = [reason is not None for reason in reasons]
    in_row = any(all(bad[end - in_a_row : end]) for end in range(in_a_row, len(bad) + 1))
    # A verdict is given when an event is rejected, so only windows that end with one count.
    too_large = any(
        bad[end - 1] and sum(bad[end - of_last : end]) > share * of_last
        for end in range(of_last, len(bad) + 1)
    )
    verdicts = limits(share, of_last, in_a_row).count(reasons)
    assert (verdicts is not None) == ((in_row and in_a_row > 0) or too_large)
