"""Who answers an unlabelled query: what is remembered of each expert's inputs, and how samples find their expert.

An expert is remembered by a few descriptions, one for each stretch that looked different. Two experts whose inputs
cannot be told apart are rivals (the same inputs were given other labels): no router can choose between them without
labels, so that the one that learned last answers for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lifelong.experience import Batch, Prediction, Query
from lifelong.expert import Expert, Stretch
from lifelong.objective import Contract
from lifelong.routing.router import Costly, Description, Finder, Router, Voice, per_batch, per_sample

STRETCHES = 4
"""Most stretches that an expert is remembered by; the oldest one goes first."""

SAME = 0.65
"""Up to this share of held-out inputs that look more like their own stretch than like another, the two are the same."""

LEAST = 32
"""Inputs below which nothing is said about whether two stretches look the same."""

Routing = Literal["sample", "batch"]


@dataclass(frozen=True, slots=True)
class Portrait:
    """How an expert's latest stretch looks, which of its earlier ones it looks like (None: none), and whose else.

    alike: expert's number and place in its gallery, of all others' stretches that look the same. With too few inputs to
    tell, or a router that would have to train for that, it looks like the one before.
    """

    stretch: Stretch
    replaces: int | None
    alike: tuple[tuple[int, int], ...] = ()

    def hang(self, gallery: Sequence[Stretch]) -> list[Stretch]:
        """The expert's stretches with this one among them."""
        kept = [stretch for i, stretch in enumerate(gallery) if i != self.replaces]
        return [*kept, self.stretch][-STRETCHES:]


class Dispatcher:
    """Describes experts' inputs with a router, and lets the experts answer what it finds for them.

    routing: each sample on its own, or all samples of a query together, where they come from one world.
    """

    def __init__(self, router: Router, routing: Routing = "sample") -> None:
        self._router, self._routing = router, routing
        self._made: tuple[tuple[object, ...], Finder] | None = None

    @torch.no_grad()
    def portray(self, expert: Expert, batches: Sequence[Batch], others: Sequence[Expert]) -> Portrait:
        """How the batches that `expert` learned lately look, and who else's inputs, of `others`, look the same."""
        inputs, last = torch.cat([b.inputs for b in batches]), batches[-1]
        shape, voice = tuple(inputs.shape[1:]), _voice(expert, last.contract, last.task)
        stretch = Stretch(shape, self._router.describe(inputs, voice))
        entries = [
            (one, index, known)
            for one in (expert, *(e for e in others if e is not expert and e.serves(last.contract, last.task)))
            for index, known in enumerate(one.stretches)
            if known.shape == shape
        ]
        held = len(inputs) // 4
        if held < LEAST or isinstance(self._router, Costly):
            mine = [(0.0, index) for one, index, _ in entries if one is expert][-1:]
            return Portrait(stretch, mine[0][1] if mine else None)
        if not entries:
            return Portrait(stretch, None)
        # Judged on inputs that its own description has not seen, as the others' have not.
        own = self._router.describe(inputs[:-held], voice)
        asked = [(voice, own), *((_voice(e, last.contract, last.task), known.description) for e, _, known in entries)]
        scores = self._router.gather(asked).scores(inputs[-held:])
        share = (scores[:, :1] > scores[:, 1:]).float().mean(0).tolist()
        alike = [(s, one, index) for s, (one, index, _) in zip(share, entries, strict=True) if s <= SAME]
        mine = [(s, index) for s, one, index in alike if one is expert]
        others_alike = tuple((one.number, index) for _, one, index in alike if one is not expert)
        stretch.rivals.update(number for number, _ in others_alike)
        return Portrait(stretch, min(mine)[1] if mine else None, others_alike)

    @torch.no_grad()
    def shortlist(self, batches: Sequence[Batch], experts: Sequence[Expert], count: int = 32) -> Sequence[Expert]:
        """Those of many experts whose inputs look most like these, and a few of the latest; all, where they are few."""
        inputs, last = torch.cat([b.inputs for b in batches]), batches[-1]
        latest = sorted(experts, key=lambda e: -e.seated)
        if len(experts) <= count or isinstance(self._router, Costly):
            return latest
        query = Query(inputs, last.contract, last.task)
        entries = self._entries(
            [e for e in latest if e.serves(last.contract, last.task)], tuple(inputs.shape[1:]), None
        )
        if not entries:
            return latest[:count]
        total = self._finder(entries, query).scores(inputs).nan_to_num(neginf=-1e9).sum(0)
        likely = [entries[i][0] for i in total.argsort(descending=True).tolist()]
        return list({e.number: e for e in (*latest[:4], *likely)}.values())[:count]

    def answer(
        self,
        query: Query,
        candidates: Sequence[Expert],
        nobody: Callable[[Tensor, Contract], Tensor],
        live: Portrait | None = None,
    ) -> Prediction:
        """Each sample is answered by the candidate that the router finds for it; by `nobody` (-1) if there is none.

        candidates: experts that serve the query, the most recently active one first; `live` is how that one looks now.
        """
        inputs = query.inputs
        entries = self._entries(candidates, tuple(inputs.shape[1:]), live)
        if not entries:
            number = candidates[0].number if candidates else -1
            outputs = (
                candidates[0].reply(inputs, query.contract, query.task)
                if candidates
                else nobody(inputs, query.contract)
            )
            return Prediction(outputs, torch.full((len(inputs),), number, device=inputs.device))
        match = (per_sample if self._routing == "sample" else per_batch)(
            self._finder(entries, query), inputs, [expert.number for expert, _ in entries]
        )
        by_number = {expert.number: expert for expert, _ in entries}
        outputs = inputs.new_zeros((len(inputs), query.contract.outputs), dtype=torch.get_default_dtype())
        for number in torch.unique(match.experts).tolist():
            mine = match.experts == number
            outputs[mine] = by_number[number].reply(inputs[mine], query.contract, query.task).to(outputs.dtype)
        return Prediction(outputs, match.experts, match.known)

    def _entries(
        self, candidates: Sequence[Expert], shape: tuple[int, ...], live: Portrait | None
    ) -> list[tuple[Expert, Description]]:
        """What the candidates are remembered by, without the stretches that a more recent rival answers for."""
        entries: list[tuple[Expert, Description]] = []
        spoken_for = set() if live is None else set(live.alike)
        later: set[int] = set()
        for expert in candidates:
            gallery = expert.stretches if live is None or expert is not candidates[0] else live.hang(expert.stretches)
            entries += [
                (expert, known.description)
                for place, known in enumerate(gallery)
                if known.shape == shape and (expert.number, place) not in spoken_for and not known.rivals & later
            ]
            later.add(expert.number)
        return entries

    def _finder(self, entries: Sequence[tuple[Expert, Description]], query: Query) -> Finder:
        """Made anew only when somebody's description or the question has changed."""
        key: tuple[object, ...] = (query.contract, query.task, *(kept for _, kept in entries))
        if (
            self._made is None
            or len(key) != len(self._made[0])
            or any(one is not other for one, other in zip(key, self._made[0], strict=True))
        ):
            known = [(_voice(expert, query.contract, query.task), kept) for expert, kept in entries]
            self._made = key, self._router.gather(known)
        return self._made[1]


def _voice(expert: Expert, contract: Contract, task: str | None) -> Voice:
    return Voice(expert.number, expert.features, lambda inputs: expert.answer(inputs, contract, task))
