"""Routers that listen to experts: what they hear is what they say they hear, and each expert is asked once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lifelong.routing.all_lanes import AllLanes
from lifelong.routing.confidence import Confidence
from lifelong.routing.nearest_mean import NearestMean
from lifelong.routing.router import Voice, per_sample


def echo(number: int, scale: float = 1.0) -> Voice:
    """An expert whose features and answers are its inputs, scaled."""
    return Voice(number, lambda x: x * scale, lambda x: x * scale)


def answers(n: int, seed: int = 0, classes: int = 5) -> Tensor:
    return torch.randn(n, classes, generator=torch.Generator().manual_seed(seed)) * 3


def test_entropy_and_largest_probability_are_those_of_torch() -> None:
    asked = answers(40)
    spread = torch.distributions.Categorical(logits=asked)
    for measure, wanted in (
        ("entropy", -spread.entropy()),  # type: ignore[no-untyped-call]
        ("max_probability", asked.softmax(1).max(1).values),
    ):
        router = Confidence(measure)  # type: ignore[arg-type]
        finder = router.gather([(echo(0), router.describe(answers(100, 1), echo(0)))])
        assert torch.allclose(finder.scores(asked)[:, 0], wanted, atol=1e-5)


def test_energies_are_compared_by_what_is_usual_for_each_expert() -> None:
    router, loud = Confidence("energy"), echo(1, scale=50.0)
    own = answers(400, 1)
    known = [(some, router.describe(own, some)) for some in (echo(0), loud)]
    finder = router.gather(known)
    for column, scale in ((0, 1.0), (1, 50.0)):
        usual = (own * scale).logsumexp(1)
        wanted = ((answers(40) * scale).logsumexp(1) - usual.mean()) / usual.std(correction=0)
        assert torch.allclose(finder.scores(answers(40))[:, column], wanted, rtol=1e-3, atol=1e-3)
    # Unlike the energies themselves, of which the louder expert's are almost always larger.
    share = float((per_sample(finder, answers(400, 2), [0, 1]).experts == 1).float().mean())
    assert 0.2 < share < 0.8


def test_outputs_that_a_contract_forbids_do_no_harm() -> None:
    asked = answers(30)
    asked[:, 3:] = torch.finfo(torch.float32).min
    for router in (Confidence(), Confidence("max_probability"), Confidence("energy"), AllLanes()):
        finder = router.gather([(echo(0), router.describe(asked, echo(0)))])
        assert bool(torch.isfinite(finder.scores(asked)).all())
        assert float(finder.accepts(asked, torch.zeros(30, dtype=torch.int64)).float().mean()) >= 0.9


def test_own_classes_are_those_that_the_answers_name_and_the_margin_is_among_them() -> None:
    own = torch.tensor([[9.0, 1.0, 0.0], [7.0, 1.0, 2.0], [0.0, 8.0, 3.0], [5.0, 6.0, 1.0]])
    router = AllLanes()
    kept = router.describe(own, echo(0))
    assert kept["classes"].tolist() == [True, True, False]
    # Margins between the first two: 8, 6, 8, 1.
    assert float(kept["usual"]) == pytest.approx(5.75)
    assert float(kept["spread"]) == pytest.approx(8.1875**0.5)
    asked = torch.tensor([[4.0, 1.0, 1.0], [0.0, 2.0, 5.0]])
    wanted = [(margin - 5.75) / 8.1875**0.5 for margin in (3.0, 2.0)]
    assert router.gather([(echo(0), kept)]).scores(asked)[:, 0].tolist() == pytest.approx(wanted)


def test_an_expert_of_one_class_sees_it_next_to_the_others() -> None:
    kept = AllLanes().describe(torch.tensor([[5.0, 1.0, 2.0], [4.0, 0.0, 3.0]]), echo(0))
    # Margins of the first over the best of the others: 3 and 1.
    assert [float(kept[name]) for name in ("usual", "spread")] == pytest.approx([2.0, 1.0])


def test_rarely_named_classes_are_not_its_own() -> None:
    named = torch.eye(3)[torch.tensor([0] * 150 + [1] * 49 + [2])] * 5
    assert AllLanes(least=0.01).describe(named, echo(0))["classes"].tolist() == [True, True, False]
    assert AllLanes(least=0.005).describe(named, echo(0))["classes"].tolist() == [True, True, True]
    assert AllLanes(least=0.9).describe(named, echo(0))["classes"].tolist() == [True, False, False]


def test_experts_of_disjoint_classes_are_told_apart_by_their_answers() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 4 * torch.randn(4, 10, generator=generator)

    def of(pair: tuple[int, int], n: int) -> Tensor:
        labels = torch.tensor(pair).repeat_interleave(n // 2)
        return centres[labels] + torch.randn(n, 10, generator=generator)

    def expert(number: int, pair: tuple[int, int]) -> Voice:
        # Sees its own two classes near their centres, and nothing anywhere else.
        def answer(x: Tensor) -> Tensor:
            logits = torch.zeros(len(x), 4)
            for label in pair:
                logits[:, label] = 10 * (-0.05 * (x - centres[label]).square().sum(1)).exp()
            return logits

        return Voice(number, answer, answer)

    router, pairs = AllLanes(), ((0, 1), (2, 3))
    voices = [expert(i, pair) for i, pair in enumerate(pairs)]
    finder = router.gather([(v, router.describe(of(p, 400), v)) for v, p in zip(voices, pairs, strict=True)])
    for number, pair in enumerate(pairs):
        assert float((per_sample(finder, of(pair, 200), [0, 1]).experts == number).float().mean()) >= 0.95


def test_distances_in_features_are_told_in_units_of_what_is_usual() -> None:
    router = NearestMean(prototypes=1, space="features")
    own = answers(600, 1)
    known = [(some, router.describe(own, some)) for some in (echo(0), echo(1, scale=1000.0))]
    scores = router.gather(known).scores(answers(50))
    # The same expert in other units: neither is nearer.
    assert torch.allclose(scores[:, 0], scores[:, 1], rtol=1e-4)
    wanted = (answers(50) - own.mean(0)).norm(dim=1)
    assert torch.allclose(-scores[:, 0] / -scores[:, 0].mean(), wanted / wanted.mean(), rtol=1e-3)
    assert float((-router.gather(known).scores(own)[:, 0]).mean()) == pytest.approx(1.0, abs=0.05)


def test_directions_are_those_of_inputs_that_have_few_numbers_anyway() -> None:
    inputs, asked = answers(200, 1), answers(30)
    plain, seen = NearestMean(4), NearestMean(4, space="directions")
    kept = [(echo(i), plain.describe(inputs + i, echo(i))) for i in range(3)]
    also = [(echo(i), seen.describe(inputs + i, echo(i))) for i in range(3)]
    assert torch.equal(plain.gather(kept).scores(asked), seen.gather(also).scores(asked))


@pytest.mark.parametrize("router", [Confidence(), AllLanes(), NearestMean(space="features")])
def test_an_expert_with_several_entries_is_asked_once(router: Confidence | AllLanes | NearestMean) -> None:
    asked: list[int] = []

    def hears(x: Tensor) -> Tensor:
        asked.append(len(x))
        return x

    speaker = Voice(3, hears, hears)
    known = [(speaker, router.describe(answers(50, seed), speaker)) for seed in range(4)]
    finder = router.gather([*known, (echo(4), known[0][1])])
    asked.clear()
    assert finder.scores(answers(20)).shape == (20, 5)
    assert asked == [20]
