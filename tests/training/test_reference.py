"""The reference of a bundle: how it is made, added to a bundle, and refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from random import Random

import numpy as np
import pytest
from text_bundles import TINY, sentence
from typer.testing import CliRunner

from models.bundle import load_text_bundle, write_manifest
from models.errors import BundleError
from models.manifest import REFERENCE
from models.observation import SENTIMENTS
from models.reference import FARTHEST, UNIT, Projector, Reference
from models.texts import Text, TextScorer
from training.cli import CONFIG, TEXT_CONFIG, app
from training.errors import RunError
from training.reference import COORDINATES, add_reference, make_reference
from training.text.tweets import Texts


def made(n: int = 500, width: int = 20) -> tuple[Reference, np.ndarray]:
    """Return a reference of features that hang together, the last of which is constant."""
    generator = np.random.default_rng(1)
    features = generator.normal(size=(n, 4)) @ generator.normal(size=(4, width)) * 5 + 3
    features += generator.normal(size=features.shape)
    features[:, -1] = 7
    shares = generator.dirichlet((1, 1, 1), n)
    reference = make_reference(features.astype(np.float32), shares, "noise")
    assert reference is not None
    assert sum(reference.classes) == sum(reference.confidence) == n
    return reference, features


def test_coordinates_have_mean_0_and_deviation_1_and_are_uncorrelated() -> None:
    reference, features = made()
    places = np.array(Projector(reference)(features)) / UNIT
    assert places.shape == (500, COORDINATES)
    assert places.mean(0) == pytest.approx(reference.mean, abs=1e-3)
    assert places.std(0) == pytest.approx(reference.deviation, abs=1e-3)
    assert np.cov(places.T) == pytest.approx(np.eye(COORDINATES), abs=0.01)
    assert all(row[-1] == 0 for row in reference.directions)


def test_a_row_has_its_place_in_any_batch_and_nonsense_is_far_out() -> None:
    reference, features = made()
    project = Projector(reference)
    whole = project(features)
    assert [project(features[row : row + 1])[0] for row in range(50)] == whole[:50]
    assert project(features[:0]) == []
    assert set(project(np.full((1, 20), np.nan))[0]) == {FARTHEST}
    assert {abs(value) for value in project(np.full((1, 20), 1e30))[0]} == {FARTHEST}


def test_few_directions_give_few_coordinates_and_none_no_reference() -> None:
    line = np.linspace(0, 1, 50)[:, None] * np.array([[1.0, -1.0, 0.0]])
    reference = make_reference(line, np.full((50, 3), 1 / 3), "a line")
    assert reference is not None
    assert len(reference.directions) == 1
    assert make_reference(np.ones((50, 3)), np.full((50, 3), 1 / 3), "a point") is None


@pytest.fixture
def folder(bundles: Path, tmp_path: Path) -> Path:
    """Return a bundle without a reference, of this test."""
    return Path(shutil.copytree(bundles / "text" / TINY, tmp_path / TINY))


@pytest.fixture(scope="module")
def held() -> Texts:
    random = Random(2)
    texts = tuple(sentence(random, random.choice(SENTIMENTS), 6) for _ in range(60))
    return Texts(texts, texts, np.zeros(60, np.int64))


def test_a_reference_is_added_to_a_bundle_and_changes_no_other_file(
    folder: Path, held: Texts
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    plain = TextScorer(load_text_bundle(folder)).score(held.raw)
    add_reference(folder, held)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {
        REFERENCE,
        "manifest.json",
    }
    bundle = load_text_bundle(folder)
    assert bundle.reference is not None
    assert bundle.reference.data == "validation: 60 texts"
    scored = TextScorer(bundle).score(held.raw)
    for old, new in zip(plain, scored, strict=True):
        assert isinstance(old, Text)
        assert isinstance(new, Text)
        assert (old.coordinates, new.probabilities) == (None, old.probabilities)
    places = np.array([text.coordinates for text in scored if isinstance(text, Text)]) / UNIT
    assert places.mean(0) == pytest.approx(bundle.reference.mean, abs=0.02)
    found = [scored[i].observation.sentiment for i in range(60)]  # type: ignore[union-attr]
    assert bundle.reference.classes == tuple(found.count(name) for name in SENTIMENTS)
    with pytest.raises(RunError, match=r"has a reference\.json already"):
        add_reference(folder, held)


# What would make a distance infinite or not a number, or the flow end with an error.
BAD = (
    *(("deviation", value) for value in (0, -1, 1e-300, "NaN", "Infinity")),
    *(("mean", value) for value in (1e300, "NaN")),
    *((name, "NaN") for name in ("centre", "directions")),
)


def _with(whole: str, name: str, value: object) -> str:
    """Return a reference with another first number of one name."""
    return re.sub(rf'("{name}":\[+)[^],]+', rf"\g<1>{value}", whole)


def test_the_version_in_use_gets_its_reference_through_active(folder: Path, held: Texts) -> None:
    (folder.parent / "ACTIVE").write_text(f"{folder.name}\n")
    add_reference(folder.parent, held)
    assert load_text_bundle(folder).reference is not None
    assert {path.name for path in folder.parent.iterdir()} == {"ACTIVE", folder.name}


def test_texts_that_all_look_the_same_give_no_reference_and_change_nothing(
    folder: Path, held: Texts
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    same = Texts(held.raw[:1] * 60, held.cleaned[:1] * 60, held.labels)
    with pytest.raises(RunError, match="looks the same to the encoder"):
        add_reference(folder, same)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_settings_of_the_other_kind_are_refused_before_data_are_read(
    folder: Path, tmp_path: Path
) -> None:
    root = Path(__file__).parents[2]
    run = tmp_path / "run"
    result = CliRunner().invoke(
        app, ["reference", str(folder), "--config", str(root / CONFIG), "--run", str(run)]
    )
    assert result.exit_code == 2, result.output
    assert "is a text bundle" in result.output
    assert f"--config {TEXT_CONFIG}" in result.output
    assert not run.exists()


def test_a_reference_that_does_not_fit_is_refused(folder: Path, held: Texts) -> None:
    add_reference(folder, held)
    path = folder / REFERENCE
    whole = path.read_text()
    path.write_text(whole.replace("60 texts", "61 texts"))
    with pytest.raises(BundleError, match=r"reference\.json was changed"):
        load_text_bundle(folder)
    other, _ = made()
    path.write_text(whole)
    fields = load_text_bundle(folder).manifest.model_dump(exclude={"files"})
    for text, message in (
        (other.model_dump_json(), "is for 3 classes and 20 features"),
        (whole.replace('"items":60', '"items":61'), "has to count 61 items, not 60"),
        ("{}", "does not fit schema"),
        *((_with(whole, name, value), rf"(?s)does not fit schema.*{name}") for name, value in BAD),
    ):
        path.write_text(text)
        write_manifest(folder, **fields)
        with pytest.raises(BundleError, match=message):
            load_text_bundle(folder)
