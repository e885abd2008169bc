"""Real files, where this machine has them: MNIST, a CIFAR-10 subset and three drifting tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from lifelong_envs.supervised.class_split import class_split
from lifelong_envs.supervised.data import Csv, Digits, Idx, Npz
from lifelong_envs.supervised.datasets import datasets
from lifelong_envs.supervised.timetable import Timetable

CPU = torch.device("cpu")
Real = Callable[[str], Path]


def test_mnist_has_its_known_counts_and_moments(real: Real) -> None:
    mnist = Idx(real("mnist")).load(CPU)
    assert (mnist.name, mnist.outputs, mnist.input_shape) == ("mnist", 10, (1, 28, 28))
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.train_targets.bincount().tolist() == train
    assert mnist.test_targets.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The mean and deviation that everyone normalises MNIST by.
    assert abs(float(mnist.train_inputs.double().mean()) - 0.1307) < 5e-5
    assert abs(float(mnist.train_inputs.double().std()) - 0.3081) < 5e-5
    assert mnist.train_targets[:5].tolist() == [5, 0, 4, 1, 9]


def test_a_cifar_subset_splits_into_classes(real: Real) -> None:
    source = Npz(real("cifar10_subset_4000_1000/cifar10_subset_4000_1000.npz"))
    stream = class_split(source, Timetable(batch_size=64), classes=5)
    assert [task.contract.input_shape for task in stream.tasks] == [(3, 32, 32)] * 2
    served = [sum(len(b.targets) for b, truth in stream.experiences() if truth.task == t) for t in "AB"]
    assert sum(served) == 4000
    assert sum(len(task.test_targets) for task in stream.tasks) == 1000


def test_drifting_tables_are_read(real: Real) -> None:
    elec2 = Csv(
        real("elec2/elec2_data.dat.gz"),
        delimiter="whitespace",
        header=False,
        labels_file=real("elec2/elec2_label.dat"),
        split="time",
        drop=[0, 3],
    ).load(CPU)
    assert (elec2.name, elec2.input_shape, elec2.outputs) == ("elec2_data", (6,), 2)
    assert (len(elec2.train_inputs), len(elec2.test_inputs)) == (36250, 9062)
    torch.testing.assert_close(elec2.train_inputs.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(elec2.train_inputs.std(0), torch.ones(6), atol=1e-4, rtol=0)
    outdoor = Csv(
        real("outdoor/outdoorStream.data.gz"),
        delimiter="whitespace",
        header=False,
        labels_file=real("outdoor/outdoorStream.labels"),
    ).load(CPU)
    assert (outdoor.input_shape, outdoor.outputs) == ((21,), 40)
    assert outdoor.test_targets.bincount().tolist() == [20] * 40


def test_weather_and_digits_share_a_stream(real: Real) -> None:
    weather = Csv(
        real("noaa_weather/NEweather_data.csv.gz"),
        header=False,
        labels_file=real("noaa_weather/NEweather_class.csv"),
        title="weather",
    )
    stream = datasets([weather, Digits()], Timetable(order="weather digits weather", samples=100))
    assert [(task.name, task.contract.input_shape, task.contract.outputs) for task in stream.tasks] == [
        ("weather", (8,), 2),
        ("digits", (1, 8, 8), 10),
    ]
    assert [segment.steps for segment in stream.segments] == [4, 4, 4]
