"""Null-space coordinates: the bases of GPM, and weights that are trained as W = W0 + A V^T in what they leave free.

Source: the growth is that of GPM (Saha et al. 2021); the parametrisation that of NESS (2026), with V the complement of
what is protected. Under SGD this is the projected step; under Adam and its kin the moments see only free directions, so
that steps do not shrink as room runs out. Promise: for x in the protected span, W x never changes, with any optimizer
and any weight decay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lifelong.subspace.cost import Form
from lifelong.subspace.gpm import Gpm, GpmKeeper
from lifelong.subspace.method import Site


@dataclass(frozen=True, slots=True)
class NullSpace:
    """Settings of null-space coordinates: `gpm` says what is protected."""

    gpm: Gpm = field(default_factory=Gpm)
    feels: bool = False
    looks_ahead: bool = False
    form: Form | None = "null"

    def keeper(self, site: Site) -> GpmKeeper:
        return self.gpm.keeper(site)
