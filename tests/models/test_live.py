"""The scorer in use follows `ACTIVE`, and nothing broken takes its place."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle_versions import FACE, add_version, own_bundles
from text_bundles import LIGHT, TINY
from waiting import wait_for

from models.activation import activate
from models.bundle import load_bundle
from models.live import LiveScorer
from models.options import TextOptions
from models.scorer import Content, Scored, Scorer
from models.wheels import fetch

CONTENTS = [Content(text="so happy, love it"), Content(text="the train is awful")]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return bundles that this test may change."""
    return own_bundles(tmp_path)


@pytest.fixture
def live(own: Path) -> LiveScorer:
    """Return what looks only when it is told to."""
    return LiveScorer(Scorer.from_folder(own), own)


def test_what_is_activated_is_in_use_and_the_one_before_still_works(
    own: Path, live: LiveScorer
) -> None:
    before = live.current()
    add_version(own / "text", TINY, "tiny-2")
    live.look()
    assert live.current() is before
    activate(own, "text", "tiny-2")
    live.look()
    after = live.current()
    assert before.versions == {"face": FACE, "text": TINY}
    assert after.versions == {"face": FACE, "text": "tiny-2"}
    assert after.score(CONTENTS) == before.score(CONTENTS)
    assert after.faces is before.faces  # only what has changed is opened
    use = live.uses["text"]
    assert (use.version, use.previous, use.refused) == ("tiny-2", TINY, None)
    assert live.uses["face"].previous is None


def test_a_face_bundle_is_changed_for_its_copy_without_a_difference(
    own: Path, live: LiveScorer
) -> None:
    photo = [Content(image=fetch("single_face").read_bytes())]
    before = live.current().score(photo)
    add_version(own / "face", FACE, "copy")
    activate(own, "face", "copy")
    live.look()
    assert live.current().versions == {"face": "copy", "text": TINY}
    (found,) = live.current().score(photo)
    assert isinstance(found, Scored)
    assert found.faces
    assert [found] == before


def test_a_broken_bundle_is_refused_once_loudly_and_taken_when_it_is_mended(
    own: Path, live: LiveScorer, caplog: pytest.LogCaptureFixture
) -> None:
    before = live.current()
    folder = add_version(own / "text", TINY, "tiny-2")
    whole = (folder / "head.ubj").read_bytes()
    (folder / "head.ubj").write_bytes(whole[:-1])
    (own / "text" / "ACTIVE").write_text("tiny-2\n")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            live.look()
    assert live.current() is before
    (record,) = caplog.records
    assert "text model 'tiny-2' is refused, tiny-1 goes on: " in record.message
    assert "head.ubj was changed" in record.message
    told = json.loads(live.fields()["model_changes"])["text"]
    assert told["refused"] == "tiny-2"
    assert "head.ubj was changed" in told["reason"]
    assert json.loads(live.fields()["models"]) == {"face": FACE, "text": TINY}
    (folder / "head.ubj").write_bytes(whole)
    live.look()
    assert live.current().versions["text"] == "tiny-2"
    assert "refused" not in json.loads(live.fields()["model_changes"])["text"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../text/tiny-1", "is no name of a version"),
        ("", "names no version"),
        ("nowhere", f"there is no text bundle 'nowhere' .*; versions found: {LIGHT}, {TINY}"),
        ("renamed", "the manifest says version 'light-1'"),
    ],
)
def test_a_wrong_name_is_refused_until_active_is_right_again(
    own: Path, live: LiveScorer, name: str, reason: str
) -> None:
    before = live.current()
    (own / "text" / LIGHT).rename(own / "text" / "renamed") if name == "renamed" else None
    (own / "text" / "ACTIVE").write_text(name)
    live.look()
    assert live.current() is before
    use = live.uses["text"]
    assert use.refused == name
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(use.reason)
    (own / "text" / "ACTIVE").write_text(TINY)
    live.look()
    assert live.uses["text"].refused is None


def test_an_active_file_that_is_gone_changes_nothing_but_is_told(
    own: Path, live: LiveScorer
) -> None:
    before = live.current()
    (own / "text" / "ACTIVE").unlink()
    live.look()
    assert live.current() is before
    assert live.uses["text"].refused == ""


def test_a_version_that_a_setting_names_is_kept(own: Path) -> None:
    options = TextOptions(bundle=LIGHT)
    live = LiveScorer(Scorer.from_folder(own, text=options), own, options)
    add_version(own / "text", TINY, "tiny-2")
    activate(own, "text", "tiny-2")
    live.look()
    assert live.current().versions["text"] == LIGHT
    assert live.uses["text"].pinned


def test_texts_are_scored_as_soon_as_there_is_a_text_bundle(own: Path) -> None:
    scorer = Scorer(load_bundle(own / "face"))
    live = LiveScorer(scorer, own)
    live.look()
    assert live.current().versions["text"] == TINY
    assert all(isinstance(found, Scored) for found in live.current().score(CONTENTS))


@pytest.fixture
def running(own: Path) -> Iterator[LiveScorer]:
    live = LiveScorer.from_folder(own)
    yield live
    live.stop()


def test_a_thread_follows_active_by_itself(own: Path, running: LiveScorer) -> None:
    add_version(own / "text", TINY, "tiny-2")
    activate(own, "text", "tiny-2")
    wait_for(lambda: running.current().versions["text"] == "tiny-2")
