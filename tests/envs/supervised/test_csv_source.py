"""Tables: columns, labels and splits as asked, and every fault named by its line and column."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import torch

from lifelong.objective import Classification, Regression
from lifelong_envs.supervised.data import Csv

CPU = torch.device("cpu")
TEXT = """size,kind,weight,fixed
1,cat,10,5
2,dog,20,5
3,cat,30,5
4,eel,40,5

5,dog,50,5
6,cat,90,5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pets.v2.csv"
    path.write_text(TEXT)
    return path


def test_columns_are_standardised_by_the_training_part(file: Path) -> None:
    loaded = Csv(file, target="kind", split="time", test_share=1 / 6).load(CPU)
    assert (loaded.name, loaded.outputs, loaded.objective) == ("pets", 3, Classification())
    assert loaded.train_targets.tolist() == [0, 1, 0, 2, 1]
    assert loaded.test_targets.tolist() == [0]
    # Training sizes 1..5: mean 3, deviation sqrt 2; weights ten times that; a constant becomes 0.
    size = torch.tensor([-2.0, -1, 0, 1, 2]) / 2**0.5
    torch.testing.assert_close(loaded.train_inputs, torch.stack([size, size, torch.zeros(5)], 1))
    torch.testing.assert_close(loaded.test_inputs, torch.tensor([[3 / 2**0.5, 6 / 2**0.5, 0.0]]))


def test_regression_targets_are_standardised_too(file: Path) -> None:
    loaded = Csv(file, target=2, task="regression", split="time", test_share=1 / 6, drop=["kind", -1]).load(CPU)
    assert (loaded.outputs, loaded.objective, loaded.input_shape) == (1, Regression(), (1,))
    torch.testing.assert_close(loaded.train_targets, torch.tensor([[-2.0], [-1], [0], [1], [2]]) / 2**0.5)
    torch.testing.assert_close(loaded.test_targets, torch.tensor([[6 / 2**0.5]]))


def test_a_random_split_is_stratified_and_fixed(tmp_path: Path) -> None:
    rows = [f"{n} {n % 2}" for n in range(50)]
    (tmp_path / "rows.txt").write_text("\n".join(rows))
    source = Csv(tmp_path / "rows.txt", delimiter="whitespace", header=False)
    loaded, again = source.load(CPU), source.load(CPU)
    assert loaded.test_targets.bincount().tolist() == [5, 5]
    assert torch.equal(loaded.test_inputs, again.test_inputs)
    other = Csv(tmp_path / "rows.txt", delimiter="whitespace", header=False, split_seed=1).load(CPU)
    assert not torch.equal(loaded.test_inputs, other.test_inputs)


def test_labels_may_come_from_a_second_file_and_files_may_be_packed(tmp_path: Path) -> None:
    (tmp_path / "data.gz").write_bytes(gzip.compress(b"1;2\n3;4\n5;7\n"))
    (tmp_path / "labels").write_text("10\n9\n10\n")
    source = Csv(
        tmp_path / "data.gz",
        delimiter=";",
        header=False,
        labels_file=tmp_path / "labels",
        split="time",
        test_share=0.3,
        title="pair",
    )
    loaded = source.load(CPU)
    assert (loaded.name, loaded.input_shape) == ("pair", (2,))
    # Sorted as numbers, 9 comes before 10.
    assert (loaded.train_targets.tolist(), loaded.test_targets.tolist()) == ([1, 0], [1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("4,eel,40", "4,eel,forty", r"line 5, column 2 \(weight\): 'forty' is not a finite number"),
        ("5,dog,50", "5,dog,nan", r"line 7, column 2 \(weight\): 'nan' is not a finite number"),
        ("3,cat,30", ",cat,30", r"line 4, column 0 \(size\): '' is not a finite number"),
        ("2,dog", "2,", r"line 3, column 1 \(kind\): the cell is empty"),
        ("6,cat,90,5", "6,cat,90", r"line 8: 3 column\(s\), expected 4 .*delimiter \(',' was given\)"),
        (TEXT, "", "holds no rows of data"),
        (TEXT, "size,kind\n", "holds no rows of data"),
        (TEXT, "1,2,3\n4,5,6\n", "the first line holds only numbers, so it is no header. Set header: false"),
    ],
)
def test_a_faulty_table_is_refused(file: Path, old: str, new: str, message: str) -> None:
    file.write_text(TEXT.replace(old, new))
    with pytest.raises(ValueError, match=message):
        Csv(file, target="kind").load(CPU)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "colour"}, "no column 'colour'. Its columns are size, kind, weight, fixed"),
        ({"target": 4}, "has 4 columns, there is no column 4"),
        ({"target": "x", "header": False}, "Its columns are without names: give a number"),
        ({"target": "kind", "drop": [0, 2, 3]}, "no input column is left of 4"),
        (
            {"target": "fixed", "task": "regression", "drop": [1]},
            r"the target, column 3 \(fixed\), is constant",
        ),
        ({"target": "kind", "test_share": 0.1}, "test_share=0.1 of 6 samples leaves 6 for training and 0"),
    ],
)
def test_settings_that_do_not_fit_the_table_are_refused(file: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Csv(file, **settings).load(CPU)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test_share": 1.5}, "test_share=1.5: expected a share"),
        ({"task": "ranking"}, "task='ranking': expected one of classification, regression"),
        ({"split": "last"}, "split='last': expected one of random, time"),
        ({"delimiter": "tab"}, "delimiter='tab': expected one character or 'whitespace'"),
        ({"target": 2, "labels_file": Path("labels")}, "either target=2 or labels_file=labels, not both"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Csv(Path("pets.csv"), **settings)


def test_label_files_that_do_not_match_are_refused(file: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.write_text("1\n2\n")
    with pytest.raises(ValueError, match=r"holds 6 rows but .*labels 2 labels. .* has a header"):
        Csv(file, labels_file=labels, drop=["kind"]).load(CPU)
    labels.write_text("1,2\n" * 6)
    with pytest.raises(ValueError, match="has 2 columns, expected one label a line"):
        Csv(file, labels_file=labels, drop=["kind"]).load(CPU)


def test_files_that_are_missing_or_no_text_are_refused(file: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no file .*has: pets\.v2\.csv"):
        Csv(file.parent / "cats.csv").load(CPU)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        Csv(file).load(CPU)
