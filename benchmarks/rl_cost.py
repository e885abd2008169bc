"""What the framework costs per environment step, against plain Stable-Baselines3 on the same environment and seeds.

python -m benchmarks.rl_cost [--quick] [--json FILE]

Both sides do the same work: learning is bit-equal as long as no shift is found. They live in one process and take
turns, so that whatever else the machine does hits both alike. The plain side is what a user would write: `learn` on a
DummyVecEnv of Monitor-wrapped environments. Ours is a whole run: stream, detector, world model, copies to go back to,
console, JSONL, and in rows of their own Weights & Biases offline; judging is left out, since the plain side does not do
it. CPU time, background threads included; the first turns of both do not count. The ratio is the median over rounds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import Table, arguments, finish
from lifelong.acting.learner import LifelongActor
from lifelong.evaluation.schedule import Schedule
from lifelong.events import Event, RunFinished
from lifelong.experience import Truth
from lifelong.interaction import Interaction
from lifelong.lifetime import run
from lifelong.record.console import ConsoleView
from lifelong.record.subscriber import Subscriber
from lifelong.record.wandb_sink import WandbSink
from lifelong.stream import EnvTask, Segment, Stream


@dataclass(frozen=True)
class Case:
    """One algorithm with its settings; steps are environment steps."""

    algorithm: str
    env: str
    lanes: int
    settings: dict[str, Any]
    experience: int
    turn: int
    turns: int
    goal: float


TUNED = {"n_steps": 32, "batch_size": 256, "n_epochs": 10, "learning_rate": 1e-3, "gamma": 0.98, "gae_lambda": 0.8}
CASES = {
    "ppo tuned": Case("ppo", "CartPole-v1", 8, {**TUNED, "ent_coef": 0.01}, 256, 2048, 16, 1.05),
    "ppo": Case("ppo", "CartPole-v1", 8, {"n_steps": 256}, 2048, 4096, 8, 1.05),
    "sac": Case("sac", "Pendulum-v1", 1, {"learning_starts": 100}, 100, 200, 8, 1.02),
}
WARM_UP = 2
"""Turns of both sides that do not count."""


class Plain:
    """What one would write without a framework, a few steps at a time."""

    def __init__(self, case: Case) -> None:
        import gymnasium
        import stable_baselines3
        from stable_baselines3.common.monitor import Monitor
        from stable_baselines3.common.vec_env import DummyVecEnv

        lanes: list[Callable[[], Any]] = [lambda: Monitor(gymnasium.make(case.env)) for _ in range(case.lanes)]
        make = getattr(stable_baselines3, case.algorithm.upper())
        self._model = make("MlpPolicy", DummyVecEnv(lanes), seed=0, device="cpu", **case.settings)
        self._turn, self.seconds = case.turn, 0.0

    def turn(self) -> None:
        began = time.process_time()
        self._model.learn(self._turn, reset_num_timesteps=False)
        self.seconds += time.process_time() - began


class TakingTurns:
    """A stream that lets the plain side have its turn now and then, and a watch that stops when all is on record."""

    def __init__(self, stream: Stream, plain: Plain, case: Case) -> None:
        self._stream, self._plain, self._case = stream, plain, case
        self._began = self.seconds = 0.0

    @property
    def name(self) -> str:
        return self._stream.name

    @property
    def tasks(self) -> Sequence[EnvTask]:
        # Judged by a single step: the plain side does not judge.
        return [replace(task, episodes=1, longest=1, watched=None) for task in self._stream.tasks]  # type: ignore[type-var]

    @property
    def segments(self) -> Sequence[Segment]:
        return self._stream.segments

    def experiences(self, start: int = 0) -> Iterator[tuple[Interaction, Truth]]:
        each = self._case.turn // self._case.experience
        for step, served in enumerate(self._stream.experiences(start)):
            if step == each * WARM_UP:
                self._plain.seconds, self._began = 0.0, time.process_time()
            if step % each == 0:
                self._plain.turn()
            yield served  # type: ignore[misc]

    def on(self, step: int, event: Event) -> None:
        if isinstance(event, RunFinished):
            self.seconds = time.process_time() - self._began - self._plain.seconds

    def close(self) -> None:
        """Nothing is pending."""


def once(name: str, agent: str, wandb: bool) -> tuple[float, float]:
    """Microseconds per environment step: plain, ours."""
    from lifelong_agents.sb3.finetune_rl import finetune_rl
    from lifelong_agents.sb3.lifelong_rl import lifelong_rl
    from lifelong_envs.rl.timetable import Timetable
    from lifelong_envs.rl.world import World
    from lifelong_envs.rl.worlds import worlds

    torch.set_num_threads(1)
    # That episodes are judged by one step is said otherwise.
    warnings.simplefilter("ignore")
    case = CASES[name]
    make: Callable[..., LifelongActor] = lifelong_rl if agent == "lifelong_rl" else finetune_rl
    learner = make(case.algorithm, case.settings, seed=0)
    timetable = Timetable(steps=case.turn * (case.turns + WARM_UP), lanes=case.lanes, experience=case.experience)
    plain = Plain(case)
    stream = TakingTurns(worlds((World("only", case.env),), timetable), plain, case)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        watchers: list[Subscriber] = [ConsoleView(), stream]
        if wandb:
            watchers.append(WandbSink(mode="offline", folder=out))
        run(stream, learner, out=out, evaluation=Schedule(within=0), subscribers=watchers)
    steps = case.turn * case.turns / 1e6
    return plain.seconds / steps, stream.seconds / steps


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    rounds = 1 if options.quick else 5
    table = Table("case", "agent", "W&B", "plain us", "ours us", "ratio", "low", "high", "goal", "met")
    fresh = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    for name, case in CASES.items():
        for agent, wandb in (("finetune_rl", False), ("lifelong_rl", False), ("lifelong_rl", True)):
            pairs = [fresh.submit(once, name, agent, wandb).result() for _ in range(rounds)]
            ratios = sorted(ours / plain for plain, ours in pairs)
            ratio = statistics.median(ratios)
            times = [round(statistics.median(side), 1) for side in zip(*pairs, strict=True)]
            spread = [round(value, 3) for value in (ratio, ratios[0], ratios[-1])]
            table.add(name, agent, wandb, *times, *spread, case.goal, ratio <= case.goal)
    finish(table, options)


if __name__ == "__main__":
    main()
