"""Null-space coordinates: the bases of GPM, and weights that are trained as W = W0 + A V^T in what they leave free.

Source: the growth is that of GPM (Saha et al. 2021); the parametrisation that of NESS (2026), with V the complement of
what is protected. Under SGD this is the projected step; under Adam and its kin the moments see only free directions, so
that steps do not shrink as room runs out. Promise: for x in the protected span, W x never changes, with any optimizer
and any weight decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lifelong.subspace.cost import Form
from lifelong.subspace.gpm import Gpm, GpmKeeper
from lifelong.subspace.method import Site


@dataclass(frozen=True, slots=True)
class NullSpace:
    """Null-space coordinates W = W0 + A V^T: GPM for optimizers with moments, such as Adam.

    gpm: what is protected.
    """

    gpm: Gpm = Gpm()
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False
    form: ClassVar[Form | None] = "null"

    def keeper(self, site: Site) -> GpmKeeper:
        return self.gpm.keeper(site)
