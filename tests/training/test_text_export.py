"""The exported text encoder computes what the network does, in every number format that ships."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')
pytest.importorskip("transformers", reason='needs transformers: pip install "sentistream[train]"')

import torch
from tiny_text import write_config, write_weights

from models.bundle import ENCODER
from models.observation import SENTIMENTS
from models.text_encoder import TextEncoder
from models.tokens import Tokenizer
from training import checkpoint
from training.checkpoint import Checkpoint
from training.errors import ExportError, RunError
from training.export import feature_count
from training.progress import Progress
from training.text import export as exporting
from training.text.batches import padded
from training.text.config import TextConfig, load
from training.text.export import export
from training.text.network import SentimentNetwork, build
from training.text.variants import Variant, choose, shipped_encoder, try_variants
from training.text.written import written

TEXTS = tuple(text for _, text in written("val"))
LABELS = np.array([SENTIMENTS.index(label) for label, _ in written("val")])


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TextConfig:
    folder = tmp_path_factory.mktemp("weights")
    return load(write_config(folder / "tiny.toml", write_weights(folder / "tiny")))


@pytest.fixture(scope="module")
def network(config: TextConfig) -> SentimentNetwork:
    torch.manual_seed(0)
    return build(config.network).eval()


@pytest.fixture
def run(config: TextConfig, network: SentimentNetwork, tmp_path: Path) -> Path:
    """Return a run whose fine-tuning has ended."""
    state = network.state_dict()
    history = [{"epoch": epoch, "balanced_accuracy": 0.5} for epoch in (1.0, 2.0)]
    checkpoint.write(Checkpoint(2, 2, state, state, {}, {}, state, history), tmp_path)
    return tmp_path


def ids_of(config: TextConfig) -> list[list[int]]:
    tokenizer = Tokenizer(Path(config.network.weights) / "tokenizer.json", 24)
    return [tokens.ids for tokens in tokenizer.encode(TEXTS)]


def test_the_encoder_gives_the_networks_embedding_and_logits_at_any_length(
    config: TextConfig, network: SentimentNetwork, run: Path
) -> None:
    path = export(config, run, TEXTS)
    assert feature_count(path) == 16 + 3
    encoder = TextEncoder(path, 19)
    for ids in ([[2, 3]], [[2, *range(5, 5 + 20), 3]], ids_of(config)):
        with torch.inference_mode():
            pooled, logits = network(*padded(ids))
        expected = torch.cat([pooled, logits], dim=1).numpy()
        np.testing.assert_allclose(encoder.encode(ids), expected, atol=exporting.PARITY)


def test_the_features_of_a_text_depend_on_nothing_but_the_text(
    config: TextConfig, run: Path
) -> None:
    export(config, run, TEXTS)
    ids = ids_of(config)
    try_variants("int8", run, ids, LABELS, Progress())
    for path in (run / ENCODER, run / "encoder.int8.onnx"):
        encoder = TextEncoder(path, 19)
        alone = np.concatenate([encoder.encode([numbers]) for numbers in ids])
        assert np.array_equal(encoder.encode(ids), alone)  # to the bit


def test_an_encoder_that_differs_is_not_written(
    config: TextConfig, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(config, run, TEXTS)
    monkeypatch.setattr(exporting, "PARITY", -1.0)
    with pytest.raises(ExportError, match="differs from the network by"):
        export(config, run, TEXTS)
    assert {path.name for path in run.iterdir()} == {"checkpoint.pt"}


def test_weights_that_are_no_numbers_are_not_exported(
    config: TextConfig, network: SentimentNetwork, run: Path
) -> None:
    broken = {name: value.clone() for name, value in network.state_dict().items()}
    broken["classifier.bias"][1] = torch.nan
    history = [{"balanced_accuracy": 0.5}] * 2
    checkpoint.write(Checkpoint(2, 2, {}, {}, {}, {}, broken, history), run)
    with pytest.raises(ExportError, match="by nan"):
        export(config, run, TEXTS)


def test_an_unfinished_run_is_not_exported(config: TextConfig, run: Path) -> None:
    state = checkpoint.read(run)
    assert state is not None
    state.epoch, state.history = 1, state.history[:1]
    checkpoint.write(state, run)
    with pytest.raises(RunError, match="has 1 of 2 epochs; run `python -m training finetune`"):
        export(config, run, TEXTS)


def test_a_damaged_checkpoint_is_named(config: TextConfig, run: Path) -> None:
    (run / "checkpoint.pt").write_bytes(b"half")
    with pytest.raises(RunError, match=r"checkpoint\.pt is no checkpoint"):
        export(config, run, TEXTS)


def test_every_format_is_measured_and_the_chosen_one_kept(config: TextConfig, run: Path) -> None:
    export(config, run, TEXTS)
    assert shipped_encoder(run, "auto") is None
    found = try_variants("fp16", run, ids_of(config), LABELS, Progress())
    assert [variant.name for variant in found] == ["fp32", "fp16", "int8"]
    assert [variant.name for variant in found if variant.shipped] == ["fp16"]
    path = shipped_encoder(run, "fp16")
    assert path is not None
    assert path.name == "encoder.fp16.onnx"
    exact, half = (TextEncoder(p, 19).encode(ids_of(config)) for p in (run / ENCODER, path))
    assert 0 < np.abs(exact - half).max() < 0.01
    assert shipped_encoder(run, "int8") is None  # another choice is another stage to run
    export(config, run, TEXTS[::-1])
    assert shipped_encoder(run, "fp16") is None  # of an older export
    assert not list(run.glob("*.part"))


def test_formats_need_an_encoder(run: Path) -> None:
    with pytest.raises(RunError, match="run `python -m training export` first"):
        try_variants("auto", run, [[2, 3]], LABELS[:1], Progress())


FP32 = Variant("fp32", 90_000_000, 0.70, 0.700, 1.0)
FP16 = Variant("fp16", 33_000_000, 0.70, 0.700, 1.0)
INT8 = Variant("int8", 23_000_000, 0.69, 0.697, 0.3)


def test_the_fastest_format_ships_that_loses_no_more_than_allowed() -> None:
    assert choose("auto", [FP32, FP16, INT8]) == "int8"
    worse = Variant("int8", 23_000_000, 0.70, 0.6969, 0.3)
    assert choose("auto", [FP32, FP16, worse]) == "fp16"
    with pytest.raises(ExportError, match=r'"int8", but it balanced.* a loss of 0\.31 points'):
        choose("int8", [FP32, FP16, worse])


def test_a_format_that_is_too_large_does_not_ship() -> None:
    with pytest.raises(ExportError, match=r"takes 90\.0 MB; allowed are 38"):
        choose("fp32", [FP32, FP16, INT8])
    with pytest.raises(ExportError, match=r"no format of the encoder may ship \(fp32: takes"):
        choose("auto", [FP32])


def test_formats_are_measured_where_all_logits_are_negative(config: TextConfig, run: Path) -> None:
    state = checkpoint.read(run)
    assert state is not None
    state.best["classifier.bias"] -= 50
    checkpoint.write(state, run)
    export(config, run, TEXTS)
    assert try_variants("fp16", run, ids_of(config), LABELS, Progress())[0].accuracy > 0
