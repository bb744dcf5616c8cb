"""Fine-tuning on a tiny set: it learns, and an interruption changes nothing."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')

from training import augmentation, checkpoint  # noqa: E402
from training.config import Augmentation, Config, Finetuning, Network  # noqa: E402
from training.errors import ConfigError, RunError  # noqa: E402
from training.finetuning import finetune, predict_logits  # noqa: E402
from training.network import build, keep_depthwise_in_float32  # noqa: E402
from training.progress import Progress  # noqa: E402
from training.rafdb import Faces  # noqa: E402

NETWORK = Network(weights="none", input_size=32)


CONFIG = Config(network=NETWORK, finetuning=Finetuning(epochs=2, batch_size=14))


def tune(faces: Faces, run: Path, stop_after: int | None = None) -> checkpoint.Checkpoint:
    run.mkdir(exist_ok=True)
    return finetune(CONFIG, faces, faces, run, progress=Progress(), stop_after=stop_after)


@pytest.fixture(scope="module")
def whole(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was never interrupted."""
    run = tmp_path_factory.mktemp("whole")
    tune(faces, run)
    return run


def test_a_resumed_run_equals_an_uninterrupted_one(
    faces: Faces, whole: Path, tmp_path: Path
) -> None:
    tune(faces, tmp_path, stop_after=1)
    resumed, expected = tune(faces, tmp_path), checkpoint.read(whole)
    assert expected is not None
    assert resumed.epoch == 2
    assert resumed.history == expected.history
    for part in ("network", "average", "best"):
        ours, theirs = getattr(resumed, part), getattr(expected, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), part


def test_a_finished_run_is_left_as_it_is(faces: Faces, whole: Path) -> None:
    before = (whole / checkpoint.FILE).read_bytes()
    tune(faces, whole)
    assert (whole / checkpoint.FILE).read_bytes() == before


def test_the_average_shares_nothing_with_the_network(whole: Path) -> None:
    state = checkpoint.read(whole)
    assert state is not None
    weights = [name for name in state.network if name.endswith("weight")]
    assert not any(torch.equal(state.network[name], state.average[name]) for name in weights)


def test_a_batch_that_is_larger_than_the_data_is_refused(faces: Faces, tmp_path: Path) -> None:
    large = Config(network=NETWORK, finetuning=Finetuning(batch_size=64))
    with pytest.raises(ConfigError, match="batch_size is 64, more than the 28"):
        finetune(large, faces, faces, tmp_path, progress=Progress())


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / checkpoint.FILE).write_bytes(b"half a file")
    with pytest.raises(RunError, match=r"checkpoint\.pt"):
        checkpoint.read(tmp_path)


def test_depthwise_convolutions_in_float32_change_no_result(faces: Faces) -> None:
    network = build(NETWORK, class_count=7)
    before = predict_logits(network, faces.images)
    names = list(network.state_dict())
    keep_depthwise_in_float32(network)
    assert torch.equal(predict_logits(network, faces.images), before)
    assert list(network.state_dict()) == names


def test_augmentation_without_ranges_changes_nothing(faces: Faces) -> None:
    images = augmentation.normalise(torch.from_numpy(faces.images))
    assert images.shape == (28, 3, 32, 32)
    assert images.min() >= -1
    assert images.max() == 1
    none = Augmentation(**dict.fromkeys(Augmentation.model_fields, 0))
    assert torch.allclose(augmentation.augment(images, none), images, atol=1e-4)


def test_augmentation_keeps_the_range_and_changes_each_picture(faces: Faces) -> None:
    images = augmentation.normalise(torch.from_numpy(faces.images))
    torch.manual_seed(1)
    changed = augmentation.augment(images, Augmentation())
    assert changed.abs().max() <= 1
    assert (changed - images).abs().flatten(1).mean(1).min() > 0.01
    torch.manual_seed(1)
    assert torch.equal(augmentation.augment(images, Augmentation()), changed)


def test_the_imagenet_weights_fit_the_architecture() -> None:
    from_noise = build(NETWORK, class_count=7)
    pretrained = build(Network(), class_count=7)
    assert pretrained.classifier.out_features == 7
    assert not torch.equal(from_noise.conv_stem.weight, pretrained.conv_stem.weight)
