"""Data sets in memory on the training device, and the sources that load them."""

from lifelong_envs.supervised.data.arrays import Arrays, from_torch_dataset
from lifelong_envs.supervised.data.bundled import Bundled
from lifelong_envs.supervised.data.csv import Csv
from lifelong_envs.supervised.data.dataset import DataSet, DataSource
from lifelong_envs.supervised.data.digits import Digits
from lifelong_envs.supervised.data.idx import Idx
from lifelong_envs.supervised.data.npz import Npz

__all__ = ["Arrays", "Bundled", "Csv", "DataSet", "DataSource", "Digits", "Idx", "Npz", "from_torch_dataset"]
