"""Tables of numbers in text files, with the target in a column or in a second file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from lifelong.objective import Classification, Objective, Regression
from lifelong_envs.supervised.data.dataset import DataSet
from lifelong_envs.supervised.data.files import stem
from lifelong_envs.supervised.data.split import check_share, last_rows, random_rows
from lifelong_envs.supervised.data.table import Table, read_table

Kind = Literal["classification", "regression"]
Split = Literal["random", "time"]
Standardise = Literal["train", "never"]


@dataclass(frozen=True, slots=True)
class Csv:
    """Rows of numbers of shape (columns,), standardised by mean and deviation of the training part, or as they are.

    `target` is a column's name or number (-1: the last); `labels_file` instead names a second file, without
    header, of one target a line. `drop` lists columns to leave out. `delimiter` is one character or
    "whitespace". Class labels may be any text: they are numbered in sorted order, as numbers where all are.
    Regression targets are standardised as well. `split` "random" keeps `test_share` of each class for
    testing, drawn from `split_seed`; "time" keeps the last rows. `standardise` "never" leaves inputs as they are: the
    mean of a table that is read in the order of time would look ahead. Files may end in .gz; ~ and environment
    variables in paths are filled in. `title` names the data set instead of the file's name.
    """

    file: Path
    target: str | int = -1
    task: Kind = "classification"
    delimiter: str = ","
    header: bool = True
    test_share: float = 0.2
    split: Split = "random"
    split_seed: int = 0
    labels_file: Path | None = None
    drop: list[str | int] | None = None
    title: str | None = None
    standardise: Standardise = "train"

    def __post_init__(self) -> None:
        check_share(self.test_share)
        if self.task not in get_args(Kind):
            raise ValueError(f"task={self.task!r}: expected one of {', '.join(get_args(Kind))}.")
        if self.split not in get_args(Split):
            raise ValueError(f"split={self.split!r}: expected one of {', '.join(get_args(Split))}.")
        if self.standardise not in get_args(Standardise):
            raise ValueError(f"standardise={self.standardise!r}: expected one of {', '.join(get_args(Standardise))}.")
        if self.delimiter != "whitespace" and (len(self.delimiter) != 1 or self.delimiter in '\r\n"\0'):
            raise ValueError(
                f"delimiter={self.delimiter!r}: expected one character or 'whitespace', and no quotation mark."
            )
        if self.labels_file is not None and self.target != -1:
            raise ValueError(f"Give either target={self.target!r} or labels_file={self.labels_file}, not both.")

    def load(self, device: torch.device) -> DataSet:
        """The data set on `device`. Raises ValueError naming file, line and column of what cannot be used."""
        table = read_table(Path(self.file), self.delimiter, self.header)
        dropped = {table.column(which) for which in self.drop or ()}
        if self.labels_file is None:
            answers, column = table, table.column(self.target)
            dropped.add(column)
        else:
            answers, column = read_table(Path(self.labels_file), self.delimiter, header=False), 0
            _check_labels(table, answers)
        columns = [c for c in range(table.width) if c not in dropped]
        if not columns:
            raise ValueError(f"{table.file}: no input column is left of {table.width}.")
        inputs = torch.from_numpy(table.numbers(columns))
        if self.task == "classification":
            targets, outputs = _classes(answers, column)
            train, test = self._rows(targets)
            objective: Objective = Classification()
        else:
            values = torch.from_numpy(answers.numbers([column]))
            train, test = self._rows(torch.zeros(len(values), dtype=torch.int64))
            if values[train].min() == values[train].max():
                raise ValueError(f"{answers.file}: the target, column {answers.title(column)}, is constant.")
            targets, outputs, objective = _standardised(values, train).float(), 1, Regression()
        name = self.title or stem(table.file)
        inputs = (_standardised(inputs, train) if self.standardise == "train" else inputs).float().to(device)
        targets, train, test = targets.to(device), train.to(device), test.to(device)
        return DataSet(name, inputs[train], targets[train], inputs[test], targets[test], outputs, objective)

    def _rows(self, strata: Tensor) -> tuple[Tensor, Tensor]:
        if self.split == "time":
            return last_rows(len(strata), self.test_share)
        return random_rows(strata, self.test_share, self.split_seed)


def _check_labels(table: Table, labels: Table) -> None:
    if len(labels.rows) != len(table.rows):
        raise ValueError(
            f"{table.file} holds {len(table.rows)} rows but {labels.file} {len(labels.rows)} labels. "
            f"There must be one for each: check whether the data file has a header (header: true or false)."
        )
    if labels.width != 1:
        raise ValueError(f"{labels.file} has {labels.width} columns, expected one label a line.")


def _classes(table: Table, column: int) -> tuple[Tensor, int]:
    texts = table.texts(column)
    try:
        found = np.unique(np.array([float(text) for text in texts]), return_inverse=True)
    except ValueError:
        found = np.unique(np.array(texts), return_inverse=True)
    return torch.from_numpy(found[1]).long(), len(found[0])


def _standardised(values: Tensor, train: Tensor) -> Tensor:
    mean, deviation = values[train].mean(0), values[train].std(0, correction=0)
    # Rounding leaves a constant column a deviation near 1e-16 of its value.
    return (values - mean) / torch.where(deviation > 1e-12 * mean.abs(), deviation, 1.0)
