"""A second model is compared with the one in use, and changes nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_bundles import LIGHT, TINY

from dataflows.agreement import Agreement, compared, decode, encode, merged
from dataflows.shadow import Shadow, chosen, open_shadow
from models.errors import BundleError, ContentError
from models.observation import EXPRESSIONS, observe_face, observe_text
from models.options import ShadowOptions
from models.scorer import Content, Face, Scored, Scorer
from models.texts import Text
from models.wheels import fetch

ACTIVE = {"face": "1", "text": "1"}
counts = st.integers(-(2**40), 2**40)
agreements = st.builds(
    Agreement, st.sampled_from(["face", "text"]), st.just("1"), st.just("2"), *[counts] * 7
)


def text(*shares: float) -> Scored:
    return Scored(text=Text(shares, observe_text(shares)))


def face(expression: str, confidence: float) -> Face:
    rest = (1 - confidence) / 6
    row = tuple(confidence if name == expression else rest for name in EXPRESSIONS)
    return Face((0, 0, 1, 1), row, observe_face(row))


class Fake(Scorer):
    """Gives what it is told to, when it is let to."""

    def __init__(self, results: Sequence[Scored | ContentError] = ()) -> None:
        self.results = list(results)
        self.seen: list[Content] = []
        self.open = threading.Event()
        self.open.set()

    def score(self, contents: Sequence[Content]) -> list[Scored | ContentError]:
        self.open.wait()
        self.seen += contents
        if not self.results:
            raise RuntimeError("broken")
        return [self.results.pop(0) for _ in contents]


def told(shadow: Shadow) -> list[Agreement]:
    shadow.join()
    return decode(shadow.fields()["shadow"])


def test_agreement_and_confidence_are_those_of_matching_observations() -> None:
    ours = Scored((face("happiness", 0.8), face("anger", 0.6)))
    theirs = Scored((face("happiness", 0.9), face("fear", 0.5)))
    found = compared(Agreement("face", "1", "2"), ours, theirs)
    assert found == Agreement("face", "1", "2", 1, 2, 1, 0)
    assert (found.share, found.confidence_delta) == (0.5, 0.0)
    one_less = compared(Agreement("face", "1", "2"), ours, Scored(theirs.faces[:1]))
    assert (one_less.events, one_less.unmatched) == (0, 1)
    nothing = compared(Agreement("face", "1", "2"), Scored(), Scored())
    assert (nothing.events, nothing.share, nothing.confidence_delta) == (1, None, None)


@given(st.lists(agreements))
def test_what_processes_tell_adds_up(found: list[Agreement]) -> None:
    assert decode(encode(found)) == found
    sums = merged(found)
    assert len({one.kind for one in sums}) == len(sums)
    for column in range(3, len(Agreement._fields)):
        assert sum(int(one[column]) for one in sums) == sum(int(one[column]) for one in found)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda part: st.lists(part) | st.dictionaries(st.sampled_from(Agreement._fields), part),
        max_leaves=10,
    )
)
def test_nonsense_is_no_agreement(value: Any) -> None:
    assert all(isinstance(one, Agreement) for one in decode(json.dumps(value)))


@pytest.mark.parametrize("text", ["[" * 100_000, "no json", None])
def test_what_is_no_json_is_no_agreement(text: str | None) -> None:
    assert decode(text) == []


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_of_events_follows_from_their_ids(share: float) -> None:
    ids = [f"events/{index % 4}/{index}" for index in range(4000)]
    found = [chosen(one, share) for one in ids]
    assert found == [chosen(one, share) for one in ids]
    assert sum(found) / len(found) == pytest.approx(share, abs=0.025)


def test_only_what_is_compared_is_scored() -> None:
    fake = Fake([text(0, 0.2, 0.8), ContentError("empty_text", "none")])
    shadow = Shadow(fake, {"text": "2"}, 1.0)
    contents = [
        Content(image=b"picture"),
        Content(image=b"picture", text="good"),
        Content(text="odd"),
        Content(text="bad"),
    ]
    scores = [Scored(), text(0.1, 0.3, 0.6), text(0.1, 0.3, 0.6), ContentError("bad_utf8", "no")]
    shadow.offer(["a", "b", "c", "d"], contents, scores, ACTIVE)
    assert told(shadow) == [Agreement("text", "1", "2", 1, 1, 1, 200, failed=1)]
    assert fake.seen == [Content(text="good"), Content(text="odd")]


def test_another_version_in_use_is_another_comparison() -> None:
    same = text(0, 0, 1)
    shadow = Shadow(Fake([same] * 3), {"text": "2"}, 1.0)
    for active in ("0", "1", "1", "2"):
        shadow.offer(["a"], [Content(text="x")], [same], {"face": None, "text": active})
    assert told(shadow) == [Agreement("text", "1", "2", 2, 2, 2, 0)]


def test_a_slow_shadow_holds_nothing_up_and_what_it_skips_is_counted() -> None:
    fake = Fake([text(0, 0, 1)] * 100)
    fake.open.clear()
    shadow = Shadow(fake, {"text": "2"}, 1.0)
    for _ in range(20):
        shadow.offer(["a"], [Content(text="x")], [text(0, 0, 1)], ACTIVE)
    fake.open.set()
    (found,) = told(shadow)
    assert found.skipped >= 15
    assert found.events + found.skipped == 20


def test_a_shadow_that_fails_is_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    shadow = Shadow(Fake(), {"text": "2"}, 1.0)
    for _ in range(3):
        shadow.offer(["a"], [Content(text="x")], [text(0, 0, 1)], ACTIVE)
    assert told(shadow) == [Agreement("text", "1", "2", failed=3)]
    assert len(caplog.records) == 1


def test_bundles_are_opened_by_their_version(bundles: Path) -> None:
    scorer = Scorer.from_folder(bundles)
    assert open_shadow(scorer, bundles, ShadowOptions()) is None
    with pytest.raises(BundleError, match="there is no text bundle '9'"):
        open_shadow(scorer, bundles, ShadowOptions(text="9"))
    face_version = scorer.versions["face"]
    assert face_version is not None
    shadow = open_shadow(scorer, bundles, ShadowOptions(face=face_version, text=LIGHT, share=1))
    assert shadow is not None
    contents = [
        Content(image=fetch("single_face").read_bytes()),
        Content(text="love it, so happy"),
    ]
    active = {"face": "before", "text": TINY}
    shadow.offer(["a", "b"], contents, scorer.score(contents), active)
    faces, texts = told(shadow)
    assert faces == Agreement("face", "before", face_version, 1, 1, 1, 0)
    assert (texts.active, texts.shadow, texts.observations) == (TINY, LIGHT, 1)
