"""A search for settings on the first tasks of a stream, by Optuna (optional: lifelong[tune])."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lifelong.config import Resolved
from lifelong.config.yaml12 import dump
from lifelong.evaluation.numbers import change, score
from lifelong.learner import Awaiting
from lifelong.stopping import end_on_signals
from lifelong.study.engine import Engine
from lifelong.study.grid import held
from lifelong.tuning.space import Dimension, Range
from lifelong.tuning.trials import Outcome, live, shortened, with_values, written

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

Objective = Literal["acc", "acc+budget"]
STORAGE, TABLE, BEST, TRIALS = "trials.db", "trials.csv", "best.yaml", "trials"
STARTUP = 10
"""Trials at random before the sampler has something to go by."""

NUMBERS = ("acc", "learning", "forgetting", "error")
BUDGET = 0.05


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and on how much. Raises ValueError for numbers out of range.

    segments: of the stream's beginning. objective: the final ACC there; or the learning accuracy, among trials that
    forget no more than `budget` (in units of the metric; None: 0.05). held_out: see `First`.
    """

    space: tuple[Dimension, ...]
    trials: int = 20
    segments: int = 3
    seeds: tuple[int, ...] = (100, 101)
    objective: Objective = "acc"
    budget: float | None = None
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if self.budget is not None and (self.objective == "acc" or not 0.0 <= self.budget < math.inf):
            raise ValueError(
                f"got --budget {self.budget:g}, expected a number from 0 on, together with --objective acc+budget."
            )
        if self.segments < 1 or not 0.0 <= self.held_out < 1.0:
            raise ValueError(
                f"got --tasks {self.segments} and --held-out {self.held_out:g}, expected at least 1 task and a share "
                "from 0 to below 1."
            )
        if not self.space:
            raise ValueError("There is nothing to tune: give --space key.path=low:high[:log] or key.path=a,b,c.")
        if self.trials < 1:
            raise ValueError(f"At least one trial is needed, got --trials {self.trials}.")
        keys = [dimension.key for dimension in self.space]
        if len(set(keys)) < len(keys):
            raise ValueError(f"A setting is in the space twice: {', '.join(keys)}.")

    @property
    def allowed(self) -> float:
        """How much may be forgotten."""
        return BUDGET if self.budget is None else self.budget


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial: its values as YAML by key, and what came of it."""

    number: int
    values: dict[str, str]
    outcome: Outcome


def tune(resolved: Resolved, out: Path, search: Search, engine: Engine) -> Tried | None:
    """Search, go on with a search, or read a finished one; write best.yaml and trials.csv into `out`.

    None where no trial came to an end. Raises ValueError where Optuna is not installed or `out` holds another search.
    """
    try:
        import optuna
    except ImportError as error:
        raise ValueError("lifelong tune needs Optuna, which is not installed: pip install 'lifelong[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    segments = len(resolved.build().stream.segments)
    if search.segments > segments:
        raise ValueError(f"got --tasks {search.segments}, and the stream has {segments} segments: take fewer.")
    short = shortened(resolved, search.segments, search.held_out)
    search = replace(search, space=tuple(_typed(dimension, short) for dimension in search.space))
    _must_matter(short, search)
    with held(out), end_on_signals():
        study = _open(out, search, short)
        _stale(study)
        while _ended(study) < search.trials:
            trial = study.ask()
            values = {dimension.key: _suggested(trial, dimension) for dimension in search.space}
            outcome = live(with_values(short, values), search.seeds, out / TRIALS, engine)
            _tell(study, trial, outcome, search)
            tried = Tried(trial.number, values, outcome)
            print(_line(tried, short))
        found = [_tried(frozen, search) for frozen in study.trials if frozen.user_attrs.get("ended")]
        best = best_of(found, search)
        if _are_alike(found):
            print("All trials came to the same: what was tried makes no difference on these tasks.")
        _write_table(found, out / TABLE, search)
        if best is not None:
            _write_best(best, resolved, search, out / BEST)
    return best


def _are_alike(found: Sequence[Tried]) -> bool:
    """Whether different settings made no difference to anything."""
    outcomes = {(tried.outcome.acc, tried.outcome.learning, tried.outcome.forgetting) for tried in found}
    tried = {tuple(sorted(one.values.items())) for one in found}
    return len(tried) > 1 and len(outcomes) == 1


def _must_matter(short: Resolved, search: Search) -> None:
    """Raises ValueError where all trials would be alike: what keeps old tasks is tried where there is none."""
    tried = [dimension.key for dimension in search.space if ".retention." in dimension.key]
    agent = short.build().agent.build()
    if tried and search.segments == 1 and isinstance(agent, Awaiting) and agent.awaits_ends:
        raise ValueError(
            f"{', '.join(tried)}: this begins to matter as the first task has ended, and --tasks is 1: take 2 or more."
        )


def best_of(found: Sequence[Tried], search: Search) -> Tried | None:
    """The best trial; where none keeps to the budget, the one that forgets least. None where all failed."""
    known = [tried for tried in found if value_of(tried.outcome, search) is not None]
    if not known:
        return None
    # Numbers that mean less than they seem are not to be chosen by, where there are others.
    known = [tried for tried in known if not tried.outcome.doubts] or known
    if search.objective == "acc":
        return max(known, key=lambda tried: (tried.outcome.acc or 0.0, -tried.number))
    within = [tried for tried in known if (tried.outcome.forgetting or 0.0) <= search.allowed]
    if within:
        return max(within, key=lambda tried: (tried.outcome.learning or 0.0, -tried.number))
    return min(known, key=lambda tried: (tried.outcome.forgetting or 0.0, tried.number))


def value_of(outcome: Outcome, search: Search) -> float | None:
    """What is to be large."""
    return outcome.acc if search.objective == "acc" else outcome.learning


def _open(out: Path, search: Search, short: Resolved) -> Study:
    import optuna

    def over_budget(trial: FrozenTrial) -> tuple[float, ...]:
        return (float(trial.user_attrs.get("forgetting") or 0.0) - search.allowed,)

    storage = f"sqlite:///{(out / STORAGE).resolve()}"
    study = optuna.create_study(study_name="tune", storage=storage, direction="maximize", load_if_exists=True)
    with warnings.catch_warnings():
        # Experimental in Optuna 3 and 4, replaced in 5 by what those do not have.
        warnings.simplefilter("ignore")
        study.sampler = optuna.samplers.TPESampler(
            # A search that goes on must not draw the same numbers again.
            seed=search.seeds[0] + len(study.trials),
            n_startup_trials=STARTUP,
            constraints_func=over_budget if search.objective == "acc+budget" else None,
        )
    described = dump(
        {
            "space": [repr(dimension) for dimension in search.space],
            "objective": [search.objective, search.allowed],
            "seeds": list(search.seeds),
            "config": {key: value for key, value in short.as_dict().items() if key not in ("record", "modules_from")},
        }
    )
    if study.user_attrs.setdefault("search", described) != described:
        raise ValueError(
            f"{out} holds another search (space, objective, seeds or configuration): choose another --out."
        )
    study.set_user_attr("search", described)
    return study


def _stale(study: Study) -> None:
    """Trials that were cut short are tried once more; what ran of them is not run again."""
    from optuna.trial import TrialState

    for frozen in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(frozen.number, state=TrialState.FAIL)
        if frozen.params:
            study.enqueue_trial(frozen.params)


def _ended(study: Study) -> int:
    return sum(bool(frozen.user_attrs.get("ended")) for frozen in study.trials)


def _suggested(trial: Trial, dimension: Dimension) -> str:
    key = dimension.key
    if not isinstance(dimension, Range):
        text: str = trial.suggest_categorical(key, dimension.texts)
        return text
    if dimension.whole:
        return written(trial.suggest_int(key, int(dimension.low), int(dimension.high), log=dimension.log))
    return written(trial.suggest_float(key, dimension.low, dimension.high, log=dimension.log))


def _tell(study: Study, trial: Trial, outcome: Outcome, search: Search) -> None:
    from optuna.trial import TrialState

    for name in NUMBERS:
        trial.set_user_attr(name, getattr(outcome, name))
    trial.set_user_attr("doubts", list(outcome.doubts))
    trial.set_user_attr("ended", True)
    value = value_of(outcome, search)
    if value is None:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, value)


def _tried(frozen: FrozenTrial, search: Search) -> Tried:
    said: dict[str, Any] = frozen.user_attrs
    values = {
        dimension.key: written(frozen.params[dimension.key])
        if isinstance(dimension, Range)
        else str(frozen.params[dimension.key])
        for dimension in search.space
    }
    outcome = Outcome(said["acc"], said["learning"], said["forgetting"], said["error"], tuple(said.get("doubts", ())))
    return Tried(frozen.number, values, outcome)


def _typed(dimension: Dimension, short: Resolved) -> Dimension:
    """The dimension, its numbers whole only where the setting itself is. Raises ValueError for what cannot be built.

    So that it is found before anything runs.
    """
    if not isinstance(dimension, Range):
        for text in dimension.texts:
            with_values(short, {dimension.key: text}).build()
        return dimension
    tried = with_values(short, {dimension.key: written(dimension.low)})
    tried.build()
    found: Any = tried.as_dict()
    for part in dimension.key.split("."):
        found = found[int(part)] if isinstance(found, list | tuple) else found[part]
    return replace(dimension, low=float(dimension.low)) if isinstance(found, float) else dimension


def _line(tried: Tried, short: Resolved) -> str:
    values = ", ".join(f"{key.removeprefix('agent.')}={value}" for key, value in tried.values.items())
    outcome = tried.outcome
    if outcome.error is not None:
        return f"trial {tried.number}: {values}: FAILED: {outcome.error}"
    percent = outcome.acc is not None and 0.0 <= outcome.acc <= 1.0
    return (
        f"trial {tried.number}: {values}: ACC {score(outcome.acc, percent)}, "
        f"learning {score(outcome.learning, percent)}, forgetting {change(outcome.forgetting, percent)}"
        + "".join(f" ({doubt})" for doubt in outcome.doubts)
    )


def _write_table(found: Sequence[Tried], out: Path, search: Search) -> None:
    keys = [dimension.key for dimension in search.space]
    with out.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("trial", *keys, "acc", "learning_accuracy", "forgetting", "error", "doubts"))
        for tried in found:
            said = tried.outcome
            values = [tried.values[key] for key in keys]
            rows.writerow(
                (
                    tried.number,
                    *values,
                    said.acc,
                    said.learning,
                    said.forgetting,
                    said.error or "",
                    "; ".join(said.doubts),
                )
            )


def _write_best(best: Tried, resolved: Resolved, search: Search, out: Path) -> None:
    """The whole stream again, with the agent that was found."""
    found = with_values(resolved, best.values).changed({"agents": {}})
    judged = f"{search.held_out:g} of the training samples held out" if search.held_out else "the test samples"
    out.write_text(
        f"# lifelong run {out}\n# Found on the first {search.segments} segments alone, judged on {judged}: trial "
        f"{best.number}.\n{dump(found.as_dict())}",
        encoding="utf-8",
    )
