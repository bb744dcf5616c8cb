"""Texts with labels: what is read, what is refused, and what is not learnt from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.observation import SENTIMENTS
from models.options import TextCleaning
from training.errors import ConfigError, DataError
from training.text.config import Data, TextConfig, is_text, load
from training.text.preparation import prepare
from training.text.tweets import SPLITS, Texts, read_split, without_known
from training.text.written import THINGS, written

CLEANING = TextCleaning()
GOOD = "label\ttext\nnegative\tI hate it\nneutral\tIt is noon\npositive\tI love it\n"


def read(folder: Path, content: str | bytes, **settings: object) -> Texts:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "train.tsv").write_bytes(data)
    return read_split(Data(path=str(folder), **settings), CLEANING, Path(), "train")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the first line is None"),
        ("text\tlabel\n", r"the first line is \['text', 'label'\], not label TAB text"),
        (GOOD + "negative\n", "line 5: 1 columns, not 2"),
        (GOOD + "negative\ta\tb\n", "line 5: 3 columns, not 2"),
        (GOOD + "angry\twhat\n", "line 5: the label 'angry' is none of negative, neutral"),
        ("label\ttext\nneutral\tIt is noon\n", "there is no text of negative, positive"),
        (GOOD.replace("I love it", "@user http"), "there is no text of positive"),
        (GOOD.encode() + b"neutral\t\xff\n", "cannot read .*train.tsv"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_place(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read(tmp_path, content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*val\.tsv"):
        read_split(Data(path=str(tmp_path)), CLEANING, Path(), "val")


def test_what_cleaning_leaves_nothing_of_is_counted(tmp_path: Path) -> None:
    texts = read(tmp_path, GOOD + "neutral\t@user @user\n")
    assert (len(texts), texts.dropped) == (3, 1)


def test_quotes_and_escapes_of_exporters_are_undone(tmp_path: Path) -> None:
    texts = read(tmp_path, GOOD + 'neutral\t"say \\u0022""yes""\\u0022"\n')
    assert texts.raw[-1] == 'say ""yes""'


# What a tab-separated line can hold, and the exporters' quotes and escapes are not about.
LINE = st.text(st.characters(codec="utf-8", exclude_characters='\t\r\n"\\\0'), min_size=1)


@given(st.lists(st.tuples(st.sampled_from(SENTIMENTS), LINE)))
def test_every_line_is_kept_with_its_label_or_counted(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("split")
    texts = read(folder, GOOD + "".join(f"{label}\t{text}\n" for label, text in lines))
    assert len(texts) + texts.dropped == 3 + len(lines)
    left = iter(zip(texts.raw[3:], texts.labels[3:].tolist(), strict=True))
    kept = list(left)
    for text, label in kept:
        assert (SENTIMENTS[label], text) in lines


def test_a_part_of_a_split_keeps_the_shares_of_the_classes(tmp_path: Path) -> None:
    lines = "".join(f"{name}\tthis is text {n}\n" for name in SENTIMENTS for n in range(40))
    texts = read(tmp_path, "label\ttext\n" + lines, at_most=30)
    assert texts.counts == dict.fromkeys(SENTIMENTS, 10)
    assert read(tmp_path, "label\ttext\n" + lines, at_most=30).sha256 == texts.sha256


def test_texts_of_another_split_are_found_whatever_their_case_and_names(tmp_path: Path) -> None:
    train = read(tmp_path, GOOD + "neutral\tsee http://a.b you\n")
    other = read(tmp_path, GOOD.replace("noon", "one") + "neutral\tSEE https://c.d/e You\n")
    assert without_known(train, [other]).raw == ("It is noon",)


def test_a_class_of_which_nothing_is_left_to_learn_is_named(tmp_path: Path) -> None:
    for split in SPLITS:
        (tmp_path / f"{split}.tsv").write_text(GOOD)
    config = TextConfig(kind="text", data=Data(path=str(tmp_path)))
    with pytest.raises(DataError, match="every training text of negative, neutral, positive also"):
        prepare(config, Path())


def test_the_account_counts_what_was_found(tmp_path: Path) -> None:
    for split in SPLITS:
        (tmp_path / f"{split}.tsv").write_text(GOOD)
    more = "".join(f"{name}\tanother {name} one\n" for name in SENTIMENTS)
    (tmp_path / "train.tsv").write_text(GOOD + more)
    prepared = prepare(TextConfig(kind="text", data=Data(path=str(tmp_path))), Path())
    (source,) = prepared.account["sources"]
    assert source["split_rows"] == {"train": 6, "validation": 3, "test": 3}
    assert (source["learnt_from"], source["duplicates_removed"]) == (3, 3)
    assert prepared.line.startswith("tweets: negative 1, neutral 1, positive 1 to learn from; 3")


def test_the_written_sentences_are_apart_in_the_splits_and_all_classes_alike() -> None:
    found = {split: list(written(split)) for split in SPLITS}
    assert set(THINGS) == set(SPLITS)
    for split, sentences in found.items():
        texts = [text for _, text in sentences]
        assert len(set(texts)) == len(texts)
        labels = [label for label, _ in sentences]
        assert len({labels.count(name) for name in SENTIMENTS}) == 1
        for other in set(SPLITS) - {split}:
            assert not set(texts) & {text for _, text in found[other]}


def test_settings_for_texts_are_told_from_those_for_faces(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('kind = "text"\n')
    assert is_text(path)
    path.write_text("[data]\n")
    assert not is_text(path)
    with pytest.raises(ConfigError, match="kind"):
        load(path)
    path.write_text('kind = "text"\n[light]\nregularisation = [0]\n')
    with pytest.raises(ConfigError, match=r"light\.regularisation\.0"):
        load(path)
