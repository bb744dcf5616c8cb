"""What a dead letter holds, and how it goes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.contract import REASONS, Record, Rejection
from dataflows.dead_letters import DeadLetter, Outgoing, dead_letter, place_alone, without_value

headers = st.lists(
    st.tuples(
        st.sampled_from(["content-type", "x-reason", "x-topic", "x-value-bytes", "ce_id"]),
        st.one_of(st.none(), st.binary(max_size=8)),
    ),
    max_size=8,
).map(tuple)
records = st.builds(
    Record,
    topic=st.sampled_from(["events", "a.b"]),
    partition=st.integers(0, 99),
    offset=st.integers(0, 2**40),
    key=st.one_of(st.none(), st.binary(max_size=8)),
    value=st.binary(min_size=1, max_size=20),
    headers=headers,
    timestamp_ms=st.one_of(st.none(), st.integers(0, 2**40)),
    unreadable=st.just(""),  # a dead letter does not tell, nor
    by_broker=st.just(False),  # whose clock it was
)


def stored(letter: Outgoing) -> Record:
    """Return a dead letter as it stands in its topic."""
    return Record("dlq", 3, 7, letter.key, letter.value, letter.headers, 1)


@given(records, st.sampled_from(sorted(REASONS)), st.text(max_size=20), st.integers(0, 2))
def test_a_dead_letter_gives_back_what_was_rejected(
    record: Record, reason: str, detail: str, short: int
) -> None:
    written = dead_letter(Rejection(record, reason, detail))
    assert written.value == record.value
    form = (written, without_value(written), place_alone(written))[short]
    letter = DeadLetter.of(stored(form))
    assert (letter.partition, letter.offset, letter.reason) == (3, 7, reason)
    kept = (record, record._replace(value=None), record._replace(value=None, key=None, headers=()))
    assert letter.original == kept[short]
    assert letter.shortened is bool(short)
    assert letter.value_bytes == len(record.value or b"")


def test_the_marker_counts_how_often_a_record_came_back() -> None:
    first = Record("events", 0, 1, b"k", b"v", (("ce_id", b"1"),), 5)
    letter = DeadLetter.of(stored(dead_letter(Rejection(first, "bad_json", "no"))))
    assert letter.replays == 0
    once = letter.replayed()
    time = ("ce_time", b"1970-01-01T00:00:00.005Z")
    assert once == Outgoing(b"k", b"v", (time, ("ce_id", b"1"), ("x-replayed", b"1")))
    back = first._replace(headers=once.headers)
    letter = DeadLetter.of(stored(dead_letter(Rejection(back, "bad_json", "no"))))
    assert letter.replays == 1
    assert letter.replayed().headers == (time, ("ce_id", b"1"), ("x-replayed", b"2"))


def test_a_foreign_marker_counts_as_a_replay() -> None:
    record = Record("events", 0, 1, None, b"v", (("x-replayed", b"yes"),), 5)
    assert DeadLetter.of(stored(dead_letter(Rejection(record, "bad_json", "no")))).replays == 1


@pytest.mark.parametrize("headers", [(), (("x-reason", b"bad_json"),), (("a", b"b"),) * 9])
def test_a_record_that_is_no_dead_letter_is_named(
    headers: tuple[tuple[str, bytes | None], ...],
) -> None:
    with pytest.raises(ValueError, match="record 7 in partition 3 of dlq is no dead letter"):
        DeadLetter.of(Record("dlq", 3, 7, None, b"v", headers, 1))
