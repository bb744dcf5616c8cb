"""Random changes to a batch of faces, on tensors: one pass for the whole batch.

Working on batches keeps two CPU cores free for the network; file decoding happened once, before.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from training.config import Augmentation

__all__ = ["augment", "mix", "normalise"]

ERASED_AREA = (0.02, 0.15)  # share of the picture, as in Zhong et al. 2020, but smaller
ERASED_ASPECT = (0.5, 2.0)  # height over width


def normalise(images: Tensor) -> Tensor:
    """Turn uint8 [n, side, side, 3] RGB into float32 [n, 3, side, side] in -1…1.

    (pixel - 127.5) / 127.5 is the input of the Lite family's ImageNet weights. The result is in
    `channels_last` memory format, which is what the input already is.
    """
    return images.permute(0, 3, 1, 2).float().sub_(127.5).div_(127.5)


def augment(images: Tensor, ranges: Augmentation, side: int | None = None) -> Tensor:
    """Change float32 [n, 3, h, w] in -1…1 at random, each picture in its own way.

    Draws from torch's global generator, so that seeding it repeats the result.

    Args:
        images: the pictures.
        ranges: how much may change.
        side: height and width of the result in pixels; unset, those of the input.
    """
    images = _move(images, ranges, side or images.shape[-1])
    images = _recolour(images, ranges)
    return _erase(images, ranges.erase)


def mix(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend each picture and its target with another one of the batch (mixup).

    The share is drawn from Beta(alpha, alpha) for each picture; Zhang et al., "mixup: Beyond
    Empirical Risk Minimization", ICLR 2018.

    Args:
        images: [n, 3, h, w].
        targets: [n, classes], probabilities.
        alpha: 0 returns the input as it is.
    """
    if not alpha:
        return images, targets
    share = torch.distributions.Beta(alpha, alpha).sample((len(images),)).to(images.device)
    share = torch.maximum(share, 1 - share)  # the picture keeps the larger part
    other = torch.randperm(len(images), device=images.device)
    blended = images.lerp(images[other], (1 - share).view(-1, 1, 1, 1))
    return blended, targets.lerp(targets[other], (1 - share).view(-1, 1))


def _spread(count: int, size: float, device: torch.device) -> Tensor:
    return torch.empty(count, device=device).uniform_(-size, size)


def _move(images: Tensor, ranges: Augmentation, side: int) -> Tensor:
    """Flip, rotate, scale and shift; what comes from outside repeats the border."""
    count, device = len(images), images.device
    angle = _spread(count, math.radians(ranges.rotation_deg), device)
    scale = 1 + _spread(count, ranges.scale, device)
    mirror = 1 - 2 * (torch.rand(count, device=device) < ranges.flip).float()
    theta = torch.zeros(count, 2, 3, device=device)
    theta[:, 0, 0] = torch.cos(angle) * scale * mirror
    theta[:, 0, 1] = -torch.sin(angle) * scale
    theta[:, 1, 0] = torch.sin(angle) * scale * mirror
    theta[:, 1, 1] = torch.cos(angle) * scale
    # The grid spans -1…1, two units for one side.
    theta[:, 0, 2] = _spread(count, 2 * ranges.shift, device)
    theta[:, 1, 2] = _spread(count, 2 * ranges.shift, device)
    grid = functional.affine_grid(theta, [count, 3, side, side], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _recolour(images: Tensor, ranges: Augmentation) -> Tensor:
    """Change brightness, contrast and saturation; some pictures lose all colour."""
    count, device = len(images), images.device

    def factor(size: float) -> Tensor:
        return (1 + _spread(count, size, device)).view(-1, 1, 1, 1)

    luma = torch.tensor([0.299, 0.587, 0.114], device=device).view(1, 3, 1, 1)  # ITU-R BT.601
    saturation = factor(ranges.saturation)
    saturation[torch.rand(count, device=device) < ranges.grey] = 0
    images = (images + 1) * factor(ranges.brightness)  # brightness is relative to black
    grey = (images * luma).sum(1, keepdim=True)
    images = grey + (images - grey) * saturation
    mean = grey.mean((2, 3), keepdim=True)
    images = mean + (images - mean) * factor(ranges.contrast)
    return images.clamp_(0, 2).sub_(1)


def _erase(images: Tensor, probability: float) -> Tensor:
    """Put one mid-grey rectangle on some of the pictures."""
    side, device = images.shape[-1], images.device
    chosen, area, aspect, top, left = torch.rand(5, len(images), 1, device=device)
    pixels = side * side * (ERASED_AREA[0] + area * (ERASED_AREA[1] - ERASED_AREA[0]))
    ratio = ERASED_ASPECT[0] * (ERASED_ASPECT[1] / ERASED_ASPECT[0]) ** aspect
    place = torch.arange(side, device=device)

    def inside(length: Tensor, start: Tensor) -> Tensor:
        length = length.round().clamp(max=side)
        start = (start * (side - length + 1)).floor()
        return (place >= start) & (place < start + length)

    rows, columns = inside((pixels * ratio).sqrt(), top), inside((pixels / ratio).sqrt(), left)
    rows &= chosen < probability
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)
