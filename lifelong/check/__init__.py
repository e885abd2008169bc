"""Laws that every stream, learner, detector, measure and router can be held to, also those of third parties.

Each check raises `LawBroken` at the first law that does not hold, and says which. They take seconds and no
files, so a package's own tests can call them.
"""

from lifelong.check.acting_learner import check_acting_learner
from lifelong.check.acting_stream import check_acting_stream
from lifelong.check.detector import check_detector
from lifelong.check.law import LawBroken
from lifelong.check.learner import check_learner
from lifelong.check.measure import check_measure
from lifelong.check.router import check_router
from lifelong.check.stream import check_stream

__all__ = [
    "LawBroken",
    "check_acting_learner",
    "check_acting_stream",
    "check_detector",
    "check_learner",
    "check_measure",
    "check_router",
    "check_stream",
]
