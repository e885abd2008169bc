"""Route by a small classifier that is trained to tell the experts' inputs apart.

Shapes: M samples remembered per expert, E entries, B inputs. Source: the selector of TAME (Zhu et al. 2024), trained
anew whenever the experts' memories change; without its pruning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lifelong.network import Mlp, Network
from lifelong.routing.router import Description, Voice, at_least_one

_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Trained:
    """Takes the expert that a small network names, trained on a few remembered inputs of each.

    samples: inputs remembered per expert, in 8 bits a number. network: the recipe of the selector. epochs, batch_size,
    lr: of its training by Adam. moves: images are moved by up to so many pixels while training (0: not at all).
    reject: inputs of which the network is less sure than of this share of remembered ones, which it was not trained on,
    are unknown. seed: of its first weights and of the order of samples.
    """

    samples: int = 256
    network: Network = Mlp()
    epochs: int = 20
    batch_size: int = 64
    lr: float = 0.001
    moves: int = 0
    reject: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.samples, self.epochs, self.batch_size) < 1 or self.lr <= 0:
            raise ValueError(
                f"Trained needs samples, epochs and batch_size >= 1 and lr > 0, got samples={self.samples}, "
                f"epochs={self.epochs}, batch_size={self.batch_size}, lr={self.lr}."
            )
        if self.moves < 0 or not 0 <= self.reject < 1:
            raise ValueError(
                f"Trained needs moves >= 0 and 0 <= reject < 1, got moves={self.moves}, reject={self.reject}."
            )

    @torch.no_grad()
    def describe(self, inputs: Tensor, voice: Voice) -> Description:
        # Evenly spaced, so that the whole stretch is remembered and the same inputs give the same description.
        some = torch.linspace(0, len(inputs) - 1, min(self.samples, len(inputs)), device=inputs.device).long()
        rows = inputs[some].to(torch.float32)
        low, high = rows.amin(0), rows.amax(0)
        step = (high - low) / 255
        return {"samples": ((rows - low) / step.clamp_min(1e-30)).round().to(torch.uint8), "low": low, "step": step}

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> Selector:
        at_least_one(known)
        # Training must work whoever asks, and wherever: somebody who answers a query does so without gradients.
        with torch.inference_mode(False):
            rows = [kept["samples"] * kept["step"] + kept["low"] for _, kept in known]
            # Every fifth sample is left out of training, to see how sure the network is of what it has not been shown.
            out = [torch.arange(len(some), device=some.device) % 5 == 4 for some in rows]
            inputs = torch.cat([some[~held] for some, held in zip(rows, out, strict=True)])
            counts = torch.tensor([int((~held).sum()) for held in out], device=inputs.device)
            owners = torch.repeat_interleave(torch.arange(len(rows), device=inputs.device), counts)
            unseen = torch.cat([some[held] for some, held in zip(rows, out, strict=True)])
            model = train_selector(self, inputs, owners, len(rows))
        return Selector(model, unseen if len(unseen) else inputs, self.reject)


class Selector:
    """Names the entry that an input belongs to, by a trained network."""

    def __init__(self, model: nn.Module, unseen: Tensor, reject: float) -> None:
        self._model = model
        surest = self.scores(unseen).amax(1)
        self._least = torch.quantile(surest[: 2**20], reject, interpolation="lower")

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        """(B, E) log-probabilities."""
        return torch.cat([self._model(some.to(torch.float32)).log_softmax(1) for some in torch.split(inputs, _CHUNK)])

    @torch.no_grad()
    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        return self.scores(inputs).gather(1, entries[:, None])[:, 0] >= self._least


@torch.enable_grad()
def train_selector(settings: Trained, inputs: Tensor, owners: Tensor, entries: int) -> nn.Module:
    """A network of `settings` that names the owner of (N, ...) inputs, given as (N,) numbers below `entries`.

    No random number of anybody else's is drawn: the same samples give the same network.
    """
    with torch.random.fork_rng([inputs.device] if inputs.device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        parts = (
            settings.network.encoder(tuple(inputs.shape[1:])),
            settings.network.trunk(),
            settings.network.head(entries),
        )
        model = nn.Sequential(_Standard(inputs), *parts).to(inputs.device)
        optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr)
        loss = nn.CrossEntropyLoss()
        for _ in range(settings.epochs):
            for some in torch.split(torch.randperm(len(inputs)).to(inputs.device), settings.batch_size):
                optimizer.zero_grad()
                loss(model(_moved(inputs[some], settings.moves)), owners[some]).backward()
                optimizer.step()
    return model.eval()


class _Standard(nn.Module):
    """Inputs of any scale, brought to mean 0 and spread 1: each channel of images, else each number by itself."""

    mean: Tensor
    spread: Tensor

    def __init__(self, inputs: Tensor) -> None:
        super().__init__()
        # Pixels one by one would be off by what is usual at another place, wherever an image is moved.
        over = (0, 2, 3) if inputs.dim() == 4 else (0,)
        self.register_buffer("mean", inputs.mean(over, keepdim=True))
        # A number that hardly varies must not blow up what is nothing but noise.
        spread = inputs.std(over, correction=0, keepdim=True)
        self.register_buffer("spread", spread.clamp_min(0.1 * float(spread.square().mean().sqrt()) + 1e-6))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean) / self.spread


def _moved(images: Tensor, most: int) -> Tensor:
    """(B, C, H, W) images, all moved by one random distance, zeros coming in; everything else as it is."""
    if not most or images.dim() != 4:
        return images
    down, right = torch.randint(-most, most + 1, (2,)).tolist()
    height, width = images.shape[-2:]
    padded = nn.functional.pad(images, (most, most, most, most))
    return padded[..., most - down : most - down + height, most - right : most - right + width]
