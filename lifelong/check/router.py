"""The laws of routers: they remember what they are shown, change nothing, and find worlds again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lifelong.check.law import equal, holds, same
from lifelong.routing.router import Description, Finder, Router, Voice, per_sample

NUMBERS, CLASSES, WORLDS = 20, 6, 3


def check_router(factory: Callable[[], Router], found: float = 0.9, accepted: float = 0.9) -> None:
    """Hold routers that `factory` makes to their laws, on three Gaussian worlds of 20 numbers and untrained experts.

    found: share of samples that it has not seen, sent to their own world. accepted: share of those that are known.
    Lower them to 0 for a router that goes by what trained experts answer. Raises: LawBroken.
    """
    rows = [_world(at, 300) for at in range(WORLDS)]
    asked = torch.cat([_world(at, 100, draw=1) for at in range(WORLDS)])
    owners = torch.arange(WORLDS).repeat_interleave(100)
    before, state = [one.clone() for one in (*rows, asked)], torch.random.get_rng_state()
    (known, finder), (_, again) = _made(factory(), rows), _made(factory(), rows)
    _plain(known)
    kept = [{name: tensor.clone() for name, tensor in description.items()} for _, description in known]
    scores, accepts = finder.scores(asked), finder.accepts(asked, owners)
    same("rows stay as they are", before, [*rows, asked])
    same("scores are (B, E)", (len(asked), WORLDS), tuple(scores.shape))
    holds("scores are numbers", "finite scores", "others", bool(torch.isfinite(scores).all()))
    equal("accepts gives (B,) bool", ((len(asked),), torch.bool), (tuple(accepts.shape), accepts.dtype))
    same("the same rows make the same finder", scores, again.scores(asked))
    same("descriptions stay as they are", kept, [description for _, description in known])
    same("torch's generator stays as it is", state, torch.random.get_rng_state())
    _numbers_do_not_matter(factory(), known, asked)
    _nobody(factory())
    chosen = per_sample(finder, asked, range(WORLDS)).experts
    right = float((chosen == owners).float().mean())
    holds("worlds are found by samples that were not shown", f"at least {found} of them", right, right >= found)
    own = float(accepts.float().mean())
    holds("samples of a world that were not shown are known to it", f"at least {accepted}", own, own >= accepted)


def _world(seed: int, rows: int, draw: int = 0) -> Tensor:
    """One Gaussian with a few strong directions; `seed` is the world's, `draw` the samples'."""
    fixed, free = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(1000 * seed + draw + 1)
    mean, axes = torch.randn(NUMBERS, generator=fixed), torch.randn(4, NUMBERS, generator=fixed)
    noise = 0.3 * torch.randn(rows, NUMBERS, generator=free)
    return 2.0 * mean + torch.randn(rows, 4, generator=free) @ axes + noise


def _voice(number: int) -> Voice:
    with torch.random.fork_rng():
        torch.manual_seed(number)
        body = nn.Sequential(nn.Linear(NUMBERS, 12), nn.ReLU())
        model = nn.Sequential(body, nn.Linear(12, CLASSES))
    return Voice(number, lambda x: body(x).detach(), lambda x: model(x).detach())


def _made(router: Router, rows: list[Tensor]) -> tuple[list[tuple[Voice, Description]], Finder]:
    known = [(_voice(at), router.describe(one, _voice(at))) for at, one in enumerate(rows)]
    return known, router.gather(known)


def _plain(known: list[tuple[Voice, Description]]) -> None:
    for _, description in known:
        wrong = next((name for name, value in description.items() if not isinstance(value, Tensor)), None)
        holds("a description is a dict of tensors, which a checkpoint keeps", "tensors", f"{wrong!r}", wrong is None)


def _numbers_do_not_matter(router: Router, known: list[tuple[Voice, Description]], asked: Tensor) -> None:
    """An expert may have any number: what counts is its place among the described."""
    renamed = [(Voice(70 + voice.number, voice.features, voice.answer), kept) for voice, kept in known]
    same(
        "an expert's number changes no scores",
        router.gather(known).scores(asked),
        router.gather(renamed).scores(asked),
    )


def _nobody(router: Router) -> None:
    try:
        router.gather([])
    except ValueError:
        return
    holds("gather refuses to route to nobody", "a ValueError", "none", False)
