"""Sentences of our own, to see whether an installation works: they need no data set.

Each is a thing in a frame. The frames of a class are the same in all splits, and a thing stands in
one split alone, so that what is learnt can be found again but not by heart.
"""

from collections.abc import Iterator
from typing import Final

from models.observation import SENTIMENTS

__all__ = ["written"]

THINGS: Final = {
    "train": (
        *("the new coffee machine", "the train to work", "our hotel room", "this update"),
        *("the second season", "the soup of the day", "my dentist", "the concert last night"),
    ),
    "val": ("the rented bicycle", "the museum shop", "the delivery service"),
    "test": ("the garden café", "my winter jacket", "the evening class"),
}
FRAMES: Final = {
    "negative": (
        "{} is a complete waste of money",
        "I am so disappointed with {} 😡",
        "never again, {} was awful #fail",
        "{} broke after two days and nobody helps",
        "what a terrible mess, {} made me sad",
        "@user {} is the worst, I hate it",
    ),
    "neutral": (
        "{} opens at nine on Monday",
        "here is a report about {} http",
        "they will talk about {} on Tuesday #news",
        "{} is next to the station",
        "@user where can I read about {}",
        "the price of {} is on page four",
    ),
    "positive": (
        "{} made my day, thank you",
        "I love {} 😍",
        "so happy with {}, it works great #win",
        "{} is wonderful and worth every cent",
        "what a lovely surprise, {} is amazing",
        "@user {} was fantastic, well done",
    ),
}


def written(split: str) -> Iterator[tuple[str, str]]:
    """Yield label and sentence of a split: `train`, `val` or `test`, all classes alike."""
    for thing in THINGS[split]:
        for label in SENTIMENTS:
            for frame in FRAMES[label]:
                yield label, frame.format(thing)
