"""Fine-tuning on a tiny set: it learns, and an interruption changes nothing."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')

from training import augmentation, checkpoint  # noqa: E402
from training.augmentation import normalise  # noqa: E402
from training.config import (  # noqa: E402
    Augmentation,
    Config,
    Finetuning,
    Network,
    Phase,
    keep_with_run,
)
from training.datasets.faces import Faces  # noqa: E402
from training.errors import ConfigError, RunError  # noqa: E402
from training.finetuning import finetune, is_finished, predict_logits  # noqa: E402
from training.network import build, freeze, keep_depthwise_in_float32  # noqa: E402
from training.optimisation import class_weights  # noqa: E402
from training.progress import Progress  # noqa: E402
from training.teachers import Teachers, of_runs  # noqa: E402

NETWORK = Network(weights="none", input_size=32)


SMALL = Phase(sources=("small",), epochs=1, input_size=48, frozen_stages=2)
LARGE = Phase(
    sources=("small", "more"),
    at_most={"more": 2},
    epochs=2,
    mixup=0.2,
    taught=0.3,
    class_balance=0.5,
)
TUNING = Finetuning(batch_size=14, compiled=False, phases=(SMALL, LARGE))
CONFIG = Config(network=NETWORK, finetuning=TUNING)


def tune(
    faces: Faces, run: Path, stop_after: int | None = None, config: Config = CONFIG
) -> checkpoint.Checkpoint:
    run.mkdir(exist_ok=True)
    sets = {"small": faces, "more": faces}
    return finetune(config, sets, faces, run, progress=Progress(), stop_after=stop_after)


@pytest.fixture(scope="module")
def whole(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was never interrupted."""
    run = tmp_path_factory.mktemp("whole")
    tune(faces, run)
    return run


@pytest.mark.parametrize("stop_after", [1, 2])  # between two phases, and inside one
def test_a_resumed_run_equals_an_uninterrupted_one(
    faces: Faces, whole: Path, tmp_path: Path, stop_after: int
) -> None:
    tune(faces, tmp_path, stop_after=stop_after)
    resumed, expected = tune(faces, tmp_path), checkpoint.read(whole)
    assert expected is not None
    assert resumed.epoch == 3
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
    tuning = Finetuning(batch_size=64, phases=(SMALL,))
    with pytest.raises(ConfigError, match="batch_size is 64, more than the 28"):
        finetune(
            Config(network=NETWORK, finetuning=tuning),
            {"small": faces},
            faces,
            tmp_path,
            progress=Progress(),
        )


def test_a_phase_on_an_unknown_source_is_refused(faces: Faces, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'more' is none of data\.sources \(small\)"):
        finetune(CONFIG, {"small": faces}, faces, tmp_path, progress=Progress())


def test_training_stops_when_the_last_phase_gets_no_better() -> None:
    def state(*losses: float) -> checkpoint.Checkpoint:
        history = [{"phase": 0.0, "ema_validation_loss": 0.1}]
        history += [{"phase": 1.0, "ema_validation_loss": loss} for loss in losses]
        return checkpoint.Checkpoint(len(history), 0, {}, {}, {}, {}, {}, history)

    tuning = Finetuning(patience=2, phases=(SMALL, Phase(sources=("small",), epochs=10)))
    assert not is_finished(tuning, state())
    assert not is_finished(tuning, state(3, 2, 2.5))
    assert is_finished(tuning, state(3, 2, 2.5, 2.1))
    assert is_finished(tuning, state(*range(10, 0, -1)))


def test_an_epoch_may_be_chosen_by_accuracy() -> None:
    def entry(loss: float, accuracy: float, balanced: float) -> dict[str, float]:
        return {
            "phase": 0.0,
            "ema_validation_loss": loss,
            "ema_validation_accuracy": accuracy,
            "ema_validation_balanced_accuracy": balanced,
        }

    history = [entry(1, 0.8, 0.7), entry(2, 0.9, 0.8), entry(3, 0.95, 0.7)]
    state = checkpoint.Checkpoint(3, 0, {}, {}, {}, {}, {}, history)
    phases = (Phase(sources=("small",), epochs=10),)
    assert is_finished(Finetuning(patience=2, phases=phases), state)
    assert not is_finished(Finetuning(best_by="accuracy", patience=2, phases=phases), state)
    assert is_finished(Finetuning(best_by="accuracy", patience=1, phases=phases), state)


def test_only_the_last_phase_chooses(faces: Faces, tmp_path: Path) -> None:
    assert tune(faces, tmp_path, stop_after=1).best == {}
    first = tune(faces, tmp_path, stop_after=2)  # of the last phase, and so the best so far
    assert [entry["phase"] for entry in first.history] == [0, 1]
    assert first.best.keys() == first.average.keys()
    assert all(torch.equal(first.best[name], first.average[name]) for name in first.best)


def test_the_average_of_the_last_phase_teaches_and_a_resumed_run_keeps_it(
    faces: Faces, tmp_path: Path
) -> None:
    before = tune(faces, tmp_path, stop_after=1)
    assert before.teacher == {}
    inside = tune(faces, tmp_path, stop_after=2)
    assert all(torch.equal(inside.teacher[name], before.average[name]) for name in before.average)


def taught_by(run: Path, share: float) -> Config:
    large = LARGE.model_copy(update={"teachers": (run,), "taught": share})
    return CONFIG.model_copy(
        update={"finetuning": TUNING.model_copy(update={"phases": (SMALL, large)})}
    )


def test_another_run_teaches(faces: Faces, whole: Path, tmp_path: Path) -> None:
    config = taught_by(tmp_path / "teacher", 1.0)
    teacher = Path(copytree(whole, tmp_path / "teacher"))
    keep_with_run(CONFIG, {}, teacher)
    state = tune(faces, tmp_path / "taught", config=config)
    assert state.teacher == {}  # it stands in its own folder
    images = normalise(torch.from_numpy(faces.images))
    expected = of_runs([teacher], torch.device("cpu"), "bf16").say(images)
    assert expected.shape == (len(faces), 7)
    assert torch.allclose(expected.sum(1), torch.ones(len(faces)), atol=1e-5)
    network = build(NETWORK, class_count=7, pretrained=False)
    keep_depthwise_in_float32(network, torch.device("cpu"))
    best = checkpoint.read(teacher)
    assert best is not None
    network.load_state_dict(best.best)
    said = predict_logits(network, faces.images, "bf16").softmax(1)
    assert torch.allclose(expected, said, atol=1e-2)


def test_the_share_of_teachers_decides_what_is_learnt(
    faces: Faces, whole: Path, tmp_path: Path
) -> None:
    teacher = Path(copytree(whole, tmp_path / "teacher"))
    keep_with_run(CONFIG, {}, teacher)
    wrong = replace(faces, targets=np.roll(faces.targets, 1, axis=1))

    def loss(name: str, share: float, shown: Faces) -> float:
        run = tmp_path / name
        run.mkdir()
        sets = {"small": faces, "more": shown}  # the first phase is the same for all
        only = LARGE.model_copy(
            update={
                "sources": ("more",),
                "at_most": {},
                "mixup": 0.0,
                "class_balance": 0.0,
                "taught": share,
                "teachers": (teacher,),
            }
        )
        tuning = TUNING.model_copy(update={"phases": (SMALL, only)})
        config = CONFIG.model_copy(update={"finetuning": tuning})
        history = finetune(config, sets, faces, run, progress=Progress()).history
        return float(history[-1]["validation_loss"])

    # Labels that are all wrong make no difference to who believes the teacher alone.
    assert loss("right", 1.0, faces) == loss("wrong", 1.0, wrong)
    assert loss("right, half", 0.5, faces) != loss("wrong, half", 0.5, wrong)


def test_a_teacher_sees_pictures_of_the_size_that_it_knows() -> None:
    seen: list[int] = []

    class Looking(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images.shape[-1])
            return torch.zeros(len(images), 7)

    Teachers([(Looking(), None), (Looking(), 48)], "fp32").say(torch.zeros(2, 3, 32, 32))
    assert seen == [32, 48]


def test_a_teacher_that_is_no_finished_run_is_named(
    faces: Faces, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"teacher .*nowhere has no weights yet"):
        tune(faces, tmp_path, config=taught_by(tmp_path / "nowhere", 0.5))
    assert checkpoint.read(tmp_path) is None  # told before the first phase, not after it
    teacher = Path(copytree(whole, tmp_path / "teacher"))
    (teacher / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"teacher .*teacher is no run: KeyError\('network'\)"):
        of_runs([teacher], torch.device("cpu"), "bf16")


def test_frozen_stages_do_not_learn_and_can_learn_again() -> None:
    network = build(NETWORK, class_count=7)
    frozen = freeze(network, 3)
    assert frozen == [network.conv_stem, network.bn1, network.blocks[0], network.blocks[1]]
    assert not any(value.requires_grad for module in frozen for value in module.parameters())
    assert all(value.requires_grad for value in network.blocks[2].parameters())
    assert freeze(network, 0) == []
    assert all(value.requires_grad for value in network.parameters())
    with pytest.raises(ConfigError, match="frozen_stages is 9; the network has 8"):
        freeze(network, 9)


def test_rare_classes_weigh_more_and_the_mean_over_the_faces_is_one() -> None:
    labels = np.array([0] * 16 + [1] * 4)
    weights = class_weights(labels, 3, 0.5)
    assert weights[1] == pytest.approx(2 * weights[0])
    assert weights[labels].mean() == pytest.approx(1)
    assert class_weights(labels, 3, 0.0).tolist() == [1, 1, 1]


def test_mixup_keeps_the_larger_part_and_the_targets_follow() -> None:
    torch.manual_seed(0)
    images = torch.eye(6).view(6, 1, 1, 6).expand(6, 3, 6, 6)
    targets = torch.eye(6)
    mixed, shares = augmentation.mix(images, targets, 0.5)
    assert torch.allclose(mixed[:, 0, 0], shares)  # the pictures are their own targets here
    assert torch.allclose(shares.sum(1), torch.ones(6))
    assert shares.argmax(1).tolist() == list(range(6))
    assert not torch.equal(shares, targets)
    assert augmentation.mix(images, targets, 0)[0] is images


def test_augmentation_can_resize(faces: Faces) -> None:
    images = augmentation.normalise(torch.from_numpy(faces.images))
    assert augmentation.augment(images, Augmentation(), 24).shape == (28, 3, 24, 24)


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / checkpoint.FILE).write_bytes(b"half a file")
    with pytest.raises(RunError, match=r"checkpoint\.pt"):
        checkpoint.read(tmp_path)


def test_depthwise_convolutions_in_float32_change_no_result(faces: Faces) -> None:
    network = build(NETWORK, class_count=7)
    before = predict_logits(network, faces.images)
    names = list(network.state_dict())
    keep_depthwise_in_float32(network, torch.device("cpu"))
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
