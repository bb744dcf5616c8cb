"""The exported encoder computes what the network does, or there is none."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')

import onnx  # noqa: E402

from training import checkpoint  # noqa: E402
from training import export as exporting  # noqa: E402
from training.augmentation import normalise  # noqa: E402
from training.checkpoint import Checkpoint  # noqa: E402
from training.config import Config, Export, Finetuning, Network, Phase  # noqa: E402
from training.datasets.faces import Faces  # noqa: E402
from training.errors import ExportError, RunError  # noqa: E402
from training.export import export, feature_count, is_exported, open_encoder  # noqa: E402
from training.network import build  # noqa: E402

NETWORK = Network(weights="none", input_size=32)
CONFIG = Config(
    network=NETWORK, finetuning=Finetuning(phases=(Phase(sources=("tiny",), epochs=2),))
)
PLAIN = {"logits": False, "mirrored": False}
MIRRORED = CONFIG.model_copy(update={"export": Export(mirrored=True)})
WITH_LOGITS = CONFIG.model_copy(update={"export": Export(logits=True)})


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Return weights whose batch norm has something to fold."""
    torch.manual_seed(0)
    network = build(NETWORK, class_count=7)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    state: dict[str, torch.Tensor] = network.state_dict()
    return state


@pytest.fixture
def run(weights: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    """Return the folder of a finished run."""
    keep(tmp_path, weights, epoch=2)
    return tmp_path


def keep(run: Path, best: dict[str, torch.Tensor], epoch: int) -> None:
    checkpoint.write(Checkpoint(epoch, epoch, {}, {}, {}, {}, best), run)


def files(run: Path) -> set[str]:
    return {path.name for path in run.iterdir()} - {checkpoint.FILE}


def test_the_encoder_is_the_network_without_batch_norm_and_its_report_says_so(
    run: Path, faces: Faces
) -> None:
    (run / "encoder.onnx.part").write_bytes(b"left by an interruption")
    (run / "encoder.int8.onnx").write_bytes(b"of an older encoder")
    path = export(CONFIG, run, faces)
    assert path == run / "encoder.onnx"
    assert files(run) == {"encoder.onnx", "export.json"}
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert "BatchNormalization" not in kinds
    assert "Shape" not in kinds  # nothing is worked out from the size of the input
    found = json.loads((run / "export.json").read_text())
    assert 0 <= found.pop("parity") <= exporting.PARITY
    size = path.stat().st_size
    assert found == {"compared": 28, "features": 1280, "bytes": size, **PLAIN}
    assert is_exported(CONFIG, run)
    assert not is_exported(WITH_LOGITS, run)


def test_a_face_has_the_same_features_in_every_batch(run: Path, faces: Faces) -> None:
    encoder = open_encoder(export(CONFIG, run, faces), 32)
    together = encoder.encode(faces.images[:8])
    alone = [encoder.encode(faces.images[i : i + 1]) for i in range(8)]
    assert np.array_equal(np.concatenate(alone), together)


def test_the_logits_follow_the_features(
    run: Path, faces: Faces, weights: dict[str, torch.Tensor]
) -> None:
    plain = open_encoder(export(CONFIG, run, faces), 32).encode(faces.images)
    path = export(WITH_LOGITS, run, faces)
    assert feature_count(path) == 1287
    both = open_encoder(path, 32).encode(faces.images)
    np.testing.assert_allclose(both[:, :1280], plain, atol=1e-5)
    network = build(NETWORK, class_count=7).eval()
    network.load_state_dict(weights)
    with torch.inference_mode():
        logits = network(normalise(torch.from_numpy(faces.images))).numpy()
    np.testing.assert_allclose(both[:, 1280:], logits, atol=exporting.PARITY)
    assert is_exported(WITH_LOGITS, run)


def test_a_mirrored_encoder_gives_a_face_and_its_mirror_image_the_same_features(
    run: Path, faces: Faces
) -> None:
    plain = open_encoder(export(CONFIG, run, faces), 32)
    image, mirror = faces.images, np.ascontiguousarray(faces.images[:, :, ::-1])
    expected = (plain.encode(image) + plain.encode(mirror)) / 2
    encoder = open_encoder(export(MIRRORED, run, faces), 32)
    assert is_exported(MIRRORED, run)
    assert not is_exported(CONFIG, run)
    np.testing.assert_allclose(encoder.encode(image), expected, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(mirror), encoder.encode(image), atol=1e-6)
    alone = [encoder.encode(image[i : i + 1]) for i in range(8)]
    assert np.array_equal(np.concatenate(alone), encoder.encode(image[:8]))


def test_an_encoder_that_differs_is_refused_and_leaves_no_file(
    run: Path, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "encoder.onnx").write_bytes(b"of an older try")
    monkeypatch.setattr(exporting, "PARITY", -1.0)
    with pytest.raises(ExportError, match="differs from the network by"):
        export(CONFIG, run, faces)
    assert files(run) == set()


def test_an_interruption_leaves_no_encoder(
    run: Path, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "_difference", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(CONFIG, run, faces)
    assert files(run) == set()


def test_a_full_disk_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ExportError, match=r"cannot write .*encoder\.onnx .*No space left"):
        exporting.save(run / "encoder.onnx", b"content")
    assert files(run) == set()


def test_an_unfinished_run_is_refused(
    tmp_path: Path, weights: dict[str, torch.Tensor], faces: Faces
) -> None:
    with pytest.raises(RunError, match="0 of 2 epochs; run `python -m training finetune`"):
        export(CONFIG, tmp_path, faces)
    keep(tmp_path, weights, epoch=1)
    with pytest.raises(RunError, match="1 of 2 epochs"):
        export(CONFIG, tmp_path, faces)


def test_a_run_that_never_had_a_finite_loss_is_refused(tmp_path: Path, faces: Faces) -> None:
    keep(tmp_path, {}, epoch=2)
    with pytest.raises(RunError, match="never a number"):
        export(CONFIG, tmp_path, faces)
