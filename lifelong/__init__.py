"""Agents that never stop learning: task streams, shift detection, experts, protected updates, transfer measured.

The names below load on first use, so that `import lifelong` and `lifelong --help` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifelong.acting.learner import LifelongActor as LifelongActor
    from lifelong.acting.signals import ModelError as ModelError
    from lifelong.acting.signals import NegativeReturn as NegativeReturn
    from lifelong.acting.signals import TemporalDifference as TemporalDifference
    from lifelong.acting.world_model import WorldModel as WorldModel
    from lifelong.both import Both as Both
    from lifelong.checkpoint import Mark as Mark
    from lifelong.checkpoint import read_checkpoint as read_checkpoint
    from lifelong.checkpoint import save_checkpoint as save_checkpoint
    from lifelong.evaluation.matrix import ScoreMatrix as ScoreMatrix
    from lifelong.evaluation.schedule import Schedule as Schedule
    from lifelong.evaluation.summary import Summary as Summary
    from lifelong.experience import Batch as Batch
    from lifelong.experience import Prediction as Prediction
    from lifelong.experience import Query as Query
    from lifelong.experience import Truth as Truth
    from lifelong.interaction import Interaction as Interaction
    from lifelong.interaction import Transitions as Transitions
    from lifelong.learner import ActingLearner as ActingLearner
    from lifelong.learner import Agent as Agent
    from lifelong.learner import Learner as Learner
    from lifelong.lifelong_learner import LifelongLearner as LifelongLearner
    from lifelong.lifetime import Result as Result
    from lifelong.lifetime import run as run
    from lifelong.objective import Classification as Classification
    from lifelong.objective import Contract as Contract
    from lifelong.objective import MultiLabel as MultiLabel
    from lifelong.objective import Regression as Regression
    from lifelong.pool import Pool as Pool
    from lifelong.record.journal import Journal as Journal
    from lifelong.retention.agem import Agem as Agem
    from lifelong.retention.der import Der as Der
    from lifelong.retention.er import Er as Er
    from lifelong.retention.er_ace import ErAce as ErAce
    from lifelong.retention.ewc import Ewc as Ewc
    from lifelong.retention.gem import Gem as Gem
    from lifelong.retention.l2 import L2 as L2
    from lifelong.retention.logit_swap import LogitSwap as LogitSwap
    from lifelong.retention.lwf import Lwf as Lwf
    from lifelong.retention.mas import Mas as Mas
    from lifelong.retention.nearest_mean import NearestMeanHead as NearestMeanHead
    from lifelong.retention.packnet import PackNet as PackNet
    from lifelong.retention.prd import Prd as Prd
    from lifelong.retention.redo import Redo as Redo
    from lifelong.retention.retained import Retained as Retained
    from lifelong.retention.si import Si as Si
    from lifelong.retention.zscl import Zscl as Zscl
    from lifelong.routing.all_lanes import AllLanes as AllLanes
    from lifelong.routing.bernoulli import BernoulliRouter as BernoulliRouter
    from lifelong.routing.confidence import Confidence as Confidence
    from lifelong.routing.gaussian import GaussianRouter as GaussianRouter
    from lifelong.routing.latest import Latest as Latest
    from lifelong.routing.mahalanobis import Mahalanobis as Mahalanobis
    from lifelong.routing.nearest_mean import NearestMean as NearestMean
    from lifelong.routing.trained import Trained as Trained
    from lifelong.saving import Saving as Saving
    from lifelong.shift.adwin import Adwin as Adwin
    from lifelong.shift.bocpd import Bocpd as Bocpd
    from lifelong.shift.confirmed import Confirmed as Confirmed
    from lifelong.shift.cusum import Cusum as Cusum
    from lifelong.shift.ewma import Ewma as Ewma
    from lifelong.shift.falling import Falling as Falling
    from lifelong.shift.frozen_cusum import FrozenCusum as FrozenCusum
    from lifelong.shift.page_hinkley import PageHinkley as PageHinkley
    from lifelong.shift.river_adapter import River as River
    from lifelong.shift.tame_band import TameBand as TameBand
    from lifelong.shift.unlabelled.classifier import ClassifierTwoSample as ClassifierTwoSample
    from lifelong.shift.unlabelled.energy import Energy as Energy
    from lifelong.shift.unlabelled.entropy import Entropy as Entropy
    from lifelong.shift.unlabelled.kolmogorov_smirnov import KolmogorovSmirnov as KolmogorovSmirnov
    from lifelong.shift.unlabelled.mmd import Mmd as Mmd
    from lifelong.shift.unlabelled.reconstruction import Reconstruction as Reconstruction
    from lifelong.shift.unlabelled.watch import Unlabelled as Unlabelled
    from lifelong.shift.vote import Vote as Vote
    from lifelong.stopping import RunStopped as RunStopped
    from lifelong.stopping import Stop as Stop
    from lifelong.stopping import stop_on_signals as stop_on_signals
    from lifelong.stream import EnvTask as EnvTask
    from lifelong.stream import References as References
    from lifelong.stream import Segment as Segment
    from lifelong.stream import Stream as Stream
    from lifelong.stream import Task as Task
    from lifelong.subspace.coso import Coso as Coso
    from lifelong.subspace.gpm import Gpm as Gpm
    from lifelong.subspace.inflora import InfLora as InfLora
    from lifelong.subspace.nscl import Nscl as Nscl
    from lifelong.subspace.null_space import NullSpace as NullSpace
    from lifelong.subspace.o_lora import OLora as OLora
    from lifelong.subspace.osft import Osft as Osft
    from lifelong.subspace.owm import Owm as Owm
    from lifelong.subspace.protection import Protection as Protection
    from lifelong.subspace.ridge import Ridge as Ridge
    from lifelong.subspace.sgp import Sgp as Sgp
    from lifelong.subspace.trgp import Trgp as Trgp
    from lifelong.updates.attach import attach as attach

_HOMES = {
    "acting.learner": ("LifelongActor",),
    "acting.signals": ("ModelError", "NegativeReturn", "TemporalDifference"),
    "acting.world_model": ("WorldModel",),
    "both": ("Both",),
    "checkpoint": ("Mark", "read_checkpoint", "save_checkpoint"),
    "evaluation.matrix": ("ScoreMatrix",),
    "evaluation.schedule": ("Schedule",),
    "evaluation.summary": ("Summary",),
    "experience": ("Batch", "Prediction", "Query", "Truth"),
    "interaction": ("Interaction", "Transitions"),
    "learner": ("ActingLearner", "Agent", "Learner"),
    "lifelong_learner": ("LifelongLearner",),
    "lifetime": ("Result", "run"),
    "objective": ("Classification", "Contract", "MultiLabel", "Regression"),
    "pool": ("Pool",),
    "record.journal": ("Journal",),
    "retention.agem": ("Agem",),
    "retention.der": ("Der",),
    "retention.er": ("Er",),
    "retention.er_ace": ("ErAce",),
    "retention.ewc": ("Ewc",),
    "retention.gem": ("Gem",),
    "retention.l2": ("L2",),
    "retention.logit_swap": ("LogitSwap",),
    "retention.lwf": ("Lwf",),
    "retention.mas": ("Mas",),
    "retention.nearest_mean": ("NearestMeanHead",),
    "retention.packnet": ("PackNet",),
    "retention.prd": ("Prd",),
    "retention.redo": ("Redo",),
    "retention.retained": ("Retained",),
    "retention.si": ("Si",),
    "retention.zscl": ("Zscl",),
    "routing.all_lanes": ("AllLanes",),
    "routing.bernoulli": ("BernoulliRouter",),
    "routing.confidence": ("Confidence",),
    "routing.gaussian": ("GaussianRouter",),
    "routing.latest": ("Latest",),
    "routing.mahalanobis": ("Mahalanobis",),
    "routing.nearest_mean": ("NearestMean",),
    "routing.trained": ("Trained",),
    "saving": ("Saving",),
    "shift.adwin": ("Adwin",),
    "shift.bocpd": ("Bocpd",),
    "shift.confirmed": ("Confirmed",),
    "shift.cusum": ("Cusum",),
    "shift.ewma": ("Ewma",),
    "shift.falling": ("Falling",),
    "shift.frozen_cusum": ("FrozenCusum",),
    "shift.page_hinkley": ("PageHinkley",),
    "shift.river_adapter": ("River",),
    "shift.tame_band": ("TameBand",),
    "shift.unlabelled.classifier": ("ClassifierTwoSample",),
    "shift.unlabelled.energy": ("Energy",),
    "shift.unlabelled.entropy": ("Entropy",),
    "shift.unlabelled.kolmogorov_smirnov": ("KolmogorovSmirnov",),
    "shift.unlabelled.mmd": ("Mmd",),
    "shift.unlabelled.reconstruction": ("Reconstruction",),
    "shift.unlabelled.watch": ("Unlabelled",),
    "shift.vote": ("Vote",),
    "stopping": ("RunStopped", "Stop", "stop_on_signals"),
    "stream": ("EnvTask", "References", "Segment", "Stream", "Task"),
    "subspace.coso": ("Coso",),
    "subspace.gpm": ("Gpm",),
    "subspace.inflora": ("InfLora",),
    "subspace.nscl": ("Nscl",),
    "subspace.null_space": ("NullSpace",),
    "subspace.o_lora": ("OLora",),
    "subspace.osft": ("Osft",),
    "subspace.owm": ("Owm",),
    "subspace.protection": ("Protection",),
    "subspace.ridge": ("Ridge",),
    "subspace.sgp": ("Sgp",),
    "subspace.trgp": ("Trgp",),
    "updates.attach": ("attach",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'lifelong' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"lifelong.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
