"""Route by a small classifier that is trained to tell the experts' inputs apart.

Shapes: M samples remembered per expert, E entries, B inputs. Source: the selector of TAME (Zhu et al. 2022), trained
anew whenever the experts' memories change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lifelong.augment import Affine
from lifelong.fit import Fit
from lifelong.network import Mlp, Network
from lifelong.optimizer import Optimizer
from lifelong.routing.router import Description, Voice, at_least_one
from lifelong.selector import Selector, train_selector
from lifelong.thinning import Thinning

_CHUNK = 4096
TRAINING = Fit(epochs=20, batch_size=64, optimizer=Optimizer("adam", lr=0.001), milestones=())


@dataclass(frozen=True, slots=True)
class Trained:
    """Takes the expert that a small network names, trained on a few remembered inputs of each.

    samples: inputs remembered per expert, in 8 bits a number. network: the recipe of the selector; fit: its training;
    thinning: then it is pruned and trained again. augment: images are moved while training. kinds: "answers"
    gives each class that an expert answers an output of its own, which tells the network more than the expert alone.
    reject: inputs of which it is less sure than of this share of the remembered ones that it was not trained on, one in
    `held`, are unknown. seed: of its first weights and of the order of samples.
    """

    samples: int = 256
    network: Network = Mlp()
    fit: Fit = TRAINING
    thinning: Thinning | None = None
    augment: Affine | None = None
    kinds: Literal["experts", "answers"] = "experts"
    reject: float = 0.01
    held: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.held < 2:
            raise ValueError(f"Trained needs samples >= 1 and held >= 2, got {self.samples} and {self.held}.")
        if not 0 <= self.reject < 1:
            raise ValueError(f"Trained needs 0 <= reject < 1, got reject={self.reject}.")

    @property
    def trains(self) -> bool:
        return True

    @torch.no_grad()
    def describe(self, inputs: Tensor, voice: Voice) -> Description:
        # Evenly spaced, so that the whole stretch is remembered and the same inputs give the same description.
        some = torch.linspace(0, len(inputs) - 1, min(self.samples, len(inputs)), device=inputs.device).long()
        rows = inputs[some].to(torch.float32)
        low, high = rows.amin(0), rows.amax(0)
        step = (high - low) / 255
        samples = ((rows - low) / step.clamp_min(1e-30)).round().to(torch.uint8)
        kept = {"samples": samples, "low": low, "step": step}
        return kept if self.kinds == "experts" else {**kept, "kinds": voice.answer(inputs[some]).argmax(1)}

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> Named:
        at_least_one(known)
        # Training must work whoever asks, and wherever: somebody who answers a query does so without gradients.
        with torch.inference_mode(False):
            rows = [kept["samples"] * kept["step"] + kept["low"] for _, kept in known]
            # Some samples are left out of training, to see how sure the network is of what it has not been shown.
            out = [torch.arange(len(some), device=some.device) % self.held == self.held - 1 for some in rows]
            inputs = torch.cat([some[~held] for some, held in zip(rows, out, strict=True)])
            counts = torch.tensor([int((~held).sum()) for held in out], device=inputs.device)
            owners = torch.repeat_interleave(torch.arange(len(rows), device=inputs.device), counts)
            kinds = None
            if self.kinds == "answers":
                kinds = torch.cat([kept["kinds"][~held] for (_, kept), held in zip(known, out, strict=True)])
            recipe = _standard(self.network, inputs)
            selector = train_selector(inputs, owners, recipe, self.fit, self.seed, self.thinning, self.augment, kinds)
            unseen = torch.cat([some[held] for some, held in zip(rows, out, strict=True)])
        return Named(selector, unseen if len(unseen) else inputs, self.reject)


class Named:
    """Names the entry that an input belongs to, by a trained network."""

    def __init__(self, selector: Selector, unseen: Tensor, reject: float) -> None:
        self.selector = selector
        surest = self.scores(unseen).amax(1)
        self._least = torch.quantile(surest[: 2**20], reject, interpolation="lower")

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        """(B, E) log-probabilities."""
        return torch.cat([self.selector(some.to(torch.float32)) for some in torch.split(inputs, _CHUNK)])

    @torch.no_grad()
    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        return self.scores(inputs).gather(1, entries[:, None])[:, 0] >= self._least


@dataclass(frozen=True, slots=True)
class _Standardised:
    """A network that is given inputs of any scale: each channel of images, else each number, at mean 0 and spread 1."""

    network: Network
    mean: Tensor
    spread: Tensor

    def encoder(self, input_shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(_Standard(self.mean, self.spread), self.network.encoder(input_shape))

    def trunk(self) -> nn.Module:
        return self.network.trunk()

    def head(self, outputs: int) -> nn.Module:
        return self.network.head(outputs)


def _standard(network: Network, inputs: Tensor) -> Network:
    # Pixels one by one would be off by what is usual at another place, wherever an image is moved.
    over = (0, 2, 3) if inputs.dim() == 4 else (0,)
    # A number that hardly varies must not blow up what is nothing but noise.
    spread = inputs.std(over, correction=0, keepdim=True)
    least = 0.1 * float(spread.square().mean().sqrt()) + 1e-6
    return _Standardised(network, inputs.mean(over, keepdim=True), spread.clamp_min(least))


class _Standard(nn.Module):
    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean) / self.spread
