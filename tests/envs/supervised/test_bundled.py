from __future__ import annotations

import pytest
import torch

from lifelong.objective import Classification, MultiLabel, Regression
from lifelong_envs.supervised.data import Bundled

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("table", "samples", "columns", "outputs", "objective"),
    [
        ("wine", 178, 13, 3, Classification),
        ("breast_cancer", 569, 30, 2, Classification),
        ("diabetes", 442, 10, 1, Regression),
        ("linnerud", 20, 3, 3, MultiLabel),
    ],
)
def test_tables_have_their_known_shapes_and_kinds(table, samples, columns, outputs, objective):
    data = Bundled(table).load(CPU)
    assert len(data.train_inputs) + len(data.test_inputs) == samples
    assert data.input_shape == (columns,)
    assert data.outputs == outputs
    assert isinstance(data.objective, objective)


def test_inputs_and_numbers_are_standardised_by_the_training_part():
    data = Bundled("diabetes").load(CPU)
    assert data.train_inputs.mean(0).abs().max() < 1e-5
    assert (data.train_targets.std(correction=0) - 1).abs() < 1e-5


def test_the_split_depends_on_its_seed_alone():
    one, same, other = (Bundled("wine", split_seed=s).load(CPU) for s in (1, 1, 2))
    assert torch.equal(one.test_inputs, same.test_inputs)
    assert not torch.equal(one.test_inputs, other.test_inputs)


def test_a_share_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"test_share=1\.5"):
        Bundled("wine", test_share=1.5)
