"""Lifelong reinforcement learning: what is found, kept and forgotten where worlds change without notice.

python -m benchmarks.rl [STREAM ...] [--quick] [--json FILE]

STREAM: flip, stationary, middle, physics, pair, minigrid, mujoco (default: all but the last two, which take long).
Each row is one run; scores are normalised returns (0: random policy, 1: the stream's stated expert). `told` is the
single-task expert: the same algorithm with a separate model for each task, told which task it is in. `inheriting`: new
experts begin with the policy of the one before. ACC: mean at the end over the tasks; worst: the lowest of them;
learned: the diagonal; BWT: what later tasks did to older ones; again: the score on a task as it comes back, before it
is trained on again, as a share of what it had when it was left. delay: mean environment steps from a change to its
detection.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.harness import Table, finish, parser, rounded
from lifelong.acting.learner import LifelongActor
from lifelong.evaluation.schedule import Schedule
from lifelong.events import ExpertChosen
from lifelong.lifetime import Result, run
from lifelong.stream import Stream

PPO = {"n_steps": 32, "batch_size": 256, "n_epochs": 10, "learning_rate": 1e-3, "gamma": 0.98, "gae_lambda": 0.8}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "ppo": ("ppo", {**PPO, "ent_coef": 0.01}),
    "pendulum": ("ppo", PPO),
    "grid": ("ppo", {"n_steps": 128, "batch_size": 256, "n_epochs": 4, "learning_rate": 1e-3, "ent_coef": 0.01}),
}
SEEDS, QUICK = (10, 11, 12, 0, 1, 2), (10,)


@dataclass(frozen=True)
class Case:
    """One stream: how it is made, the order of its tasks, and which agents live through it."""

    stream: str
    order: str
    agents: tuple[str, ...]
    settings: str = "ppo"
    steps: int = 40_960
    experience: int = 256
    change: str = "now"
    offset: int = 0
    seeds: int = 6


CASES = {
    "flip": [
        Case("cartpole_flip", "A B", ("lifelong", "naive", "told")),
        Case("cartpole_flip", "A B A", ("lifelong",)),
        Case("cartpole_flip", "A B A", ("lifelong",), change="episode"),
    ],
    "stationary": [Case("cartpole_flip", "A", ("lifelong",), steps=81_920)],
    "middle": [Case("cartpole_flip", "A B A", ("lifelong",), offset=104)],
    "physics": [
        Case("cartpole_physics", "standard hanging short forceful standard", ("lifelong", "naive", "told"), seeds=3)
    ],
    "pair": [Case("cartpole_physics", "standard hanging short", ("trunk", "naive", "unprotected", "lifelong"))],
    "minigrid": [
        Case(
            "minigrid",
            "empty door lava door",
            ("lifelong", "inheriting", "naive"),
            "grid",
            81_920,
            1024,
            "episode",
            seeds=3,
        )
    ],
    "mujoco": [
        Case(
            "mujoco_bodies", "standard reversed standard", ("lifelong", "naive"), "pendulum", change="episode", seeds=3
        )
    ],
}
LONG = ("minigrid", "mujoco")


def learner(agent: str, case: Case, seed: int) -> LifelongActor:
    from lifelong_agents.sb3.finetune_rl import finetune_rl
    from lifelong_agents.sb3.lifelong_rl import lifelong_rl

    algorithm, settings = SETTINGS[case.settings]
    makers: dict[str, Callable[[], LifelongActor]] = {
        "lifelong": lambda: lifelong_rl(algorithm, settings, seed=seed),
        "inheriting": lambda: lifelong_rl(algorithm, settings, inherit=True, seed=seed),
        "told": lambda: lifelong_rl(algorithm, settings, detector=None, seed=seed),
        "trunk": lambda: lifelong_rl(algorithm, settings, share="trunk", seed=seed),
        "unprotected": lambda: lifelong_rl(algorithm, settings, share="trunk", subspace=None, seed=seed),
        "naive": lambda: finetune_rl(algorithm, settings, seed=seed),
    }
    return makers[agent]()


def stream_of(case: Case, agent: str, seed: int) -> Stream:
    from lifelong_envs.rl.cartpole_flip import cartpole_flip
    from lifelong_envs.rl.cartpole_physics import cartpole_physics
    from lifelong_envs.rl.minigrid import minigrid
    from lifelong_envs.rl.mujoco_bodies import mujoco_bodies
    from lifelong_envs.rl.scenario import Scenario
    from lifelong_envs.rl.timetable import Timetable

    makers: dict[str, Callable[..., Stream]] = {
        "cartpole_flip": cartpole_flip,
        "cartpole_physics": cartpole_physics,
        "minigrid": minigrid,
        "mujoco_bodies": mujoco_bodies,
    }
    timetable = Timetable(
        order=case.order.split(),
        steps=case.steps,
        experience=case.experience,
        change=case.change,  # type: ignore[arg-type]
        offset=case.offset,
    )
    scenario = Scenario(labels="judging") if agent == "told" else Scenario()
    return makers[case.stream](timetable=timetable, scenario=scenario, seed=seed)


def again(result: Result, case: Case) -> float | None:
    """How well the last task begins when it has come back, against what it was when it was left."""
    order = case.order.split()
    if order[-1] not in order[:-1]:
        return None
    left = max(k for k, task in enumerate(order[:-1], 1) if task == order[-1])
    column = result.matrix.column(order[-1])
    before_it_learns = column[len(order) - 1]
    return float(before_it_learns / column[left]) if column[left] else None


def once(case: Case, agent: str, seed: int) -> tuple[object, ...]:
    torch.set_num_threads(1)
    made = learner(agent, case, seed)
    result = run(stream_of(case, agent, seed), made, seed=seed, evaluation=Schedule(within=0))
    summary, matrix = result.summary, result.matrix
    late = None if summary.detection_delay is None else round(summary.detection_delay * case.experience)
    spawned_late = [e for step, e in result.events if isinstance(e, ExpertChosen) and e.full]
    assert not spawned_late
    detects = agent in ("lifelong", "inheriting", "trunk", "unprotected")
    return (
        case.stream,
        case.order,
        case.change,
        agent,
        seed,
        f"{summary.shifts_true - summary.missed_shifts}/{summary.shifts_true}" if detects else "-",
        summary.false_alarms if detects else "-",
        late,
        summary.experts,
        rounded(summary.acc),
        rounded(float(min(matrix.scores[-1]))),
        rounded(summary.learning_accuracy),
        rounded(summary.bwt),
        rounded(summary.routing_accuracy),
        rounded(again(result, case)),
    )


def main() -> None:
    made = parser(__doc__)
    made.add_argument("streams", nargs="*", metavar="STREAM", help=", ".join(CASES))
    made.add_argument("--seeds", nargs="*", type=int, help="instead of the usual ones")
    options = made.parse_args()
    warnings.simplefilter("ignore")
    columns = "stream order change agent seed shifts false delay experts ACC worst learned BWT routing again"
    table = Table(*columns.split())
    for name in options.streams or [name for name in CASES if name not in LONG]:
        for case in CASES[name]:
            seeds = options.seeds or (QUICK if options.quick else SEEDS[: case.seeds])
            for agent in case.agents:
                for seed in seeds:
                    table.add(*once(case, agent, seed))
                    print(*table.rows[-1], flush=True)
    finish(table, options)


if __name__ == "__main__":
    main()
