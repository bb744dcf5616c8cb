import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.keys import RESOLUTIONS_S, Keys

KEYS = Keys("some:prefix")


@given(
    st.sampled_from(RESOLUTIONS_S),
    st.text(min_size=1, alphabet=st.characters(codec="utf-8")),
    st.integers(0, 2**33),
)
def test_a_pane_key_can_be_read_back_whatever_the_source(
    resolution: int, source: str, bucket: int
) -> None:
    parsed = KEYS.parse_pane(KEYS.pane(resolution, source, bucket))
    assert parsed.resolution_s == resolution
    assert parsed.source == source
    assert parsed.block <= bucket < parsed.block + 60 * resolution
    assert parsed.block % (60 * resolution) == 0


def test_keys_are_spelled_as_in_the_contract() -> None:
    keys = Keys()
    assert keys.pane(1, "a:b", 125) == "sentistream:v1:pane:1:a:b:120"
    assert keys.pane(60, "*", 7199) == "sentistream:v1:pane:60:*:3600"
    assert keys.rolling("*", 300) == "sentistream:v1:rolling:*:300"
    assert keys.worker("w") == "sentistream:v1:worker:w"
    assert [keys.updates, keys.sources, keys.events, keys.alerts] == [
        f"sentistream:v1:{name}" for name in ("updates", "sources", "events", "alerts")
    ]


@pytest.mark.parametrize("key", ["x", "some:prefix:pane:1:a", "some:prefix:pane:x:a:60", "pane"])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not a pane key"):
        KEYS.parse_pane(key)
