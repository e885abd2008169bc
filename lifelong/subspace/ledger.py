"""The books of a protection: which weights are linear maps of data, who keeps them, and what has to be frozen.

Conflicts are settled on the safe side. A parameter that is used in ways that cannot be spared together is frozen, and
so is its partner: a bias that moves alone would move old outputs.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from lifelong.subspace.lookup import LookupKeeper
from lifelong.subspace.method import Keeper, LooksAhead, Method, Site
from lifelong.subspace.parametrized import Made
from lifelong.subspace.subject import Subject
from lifelong.subspace.use import Geometry, Use, fitted


@dataclass(slots=True)
class Account:
    """A weight in one geometry, its keeper, and the share of what was last seen that is held (None: nothing yet).

    rows: most rows that one call gave it, which is what a training step of it costs. begun: whether its keeper was
    shown the first data of a task, so that it may want coordinates of its own before anything was consolidated.
    """

    site: Site
    keeper: Keeper
    energy: float | None = None
    rows: int = 0
    begun: bool = False


class Ledger:
    """Is told by a watch what happens to parameters; what is bad news counts from the next `settle` on."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self.accounts: dict[str, Account] = {}
        self.frozen: dict[str, str] = {}
        self._news: dict[str, str] = {}
        self.met: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.direct: dict[str, bool] = {}
        self.has_news = False
        self.felt = False
        self._begun = False

    def next_pass(self) -> None:
        """A forward pass begins: the first weight that it uses is the one that sees the data."""
        self._begun = False

    def used(self, weight: str, bias: str | None, use: Use) -> None:
        self.met.update(name for name in (weight, bias) if name is not None)
        if use.inputs.numel() == 0:
            return
        self.has_news = True
        key = weight + (":lookup" if use.geometry.lookup else ":turned" if use.geometry.transposed else "")
        account = self.accounts.get(key)
        if account is None:
            account = self._open(key, weight, bias, use.geometry)
        elif account.site.geometry.has_grown_to(use.geometry):
            account.site = replace(account.site, geometry=use.geometry)
        elif account.site.geometry != use.geometry:
            self.misunderstood(weight, "used as matrices of two shapes, which cannot be spared together")
        self._begun = True
        if bias != account.site.bias:
            if bias is not None:
                self.misunderstood(bias, "added after a weight that is also used without it")
            use = replace(use, has_bias=False)
        self.calls[weight] += 1
        account.rows = max(account.rows, use.count())
        account.keeper.see(use)

    def compare(self, linears: Sequence[tuple[str, int]]) -> None:
        """After a watch: (weight, runs) of each nn.Linear that ran. A weight is direct if nothing else has used it."""
        owners = Counter(weight for weight, _ in linears)
        for weight, runs in linears:
            alone = owners[weight] == 1 and self.calls[weight] == runs
            self.direct[weight] = alone and self.direct.get(weight, True)
        for weight in self.calls.keys() - owners.keys():
            self.direct[weight] = False
        self.calls.clear()

    def misunderstood(self, name: str, why: str) -> None:
        self.met.add(name)
        self.has_news = True
        self._news.setdefault(name, why)

    def _open(self, key: str, weight: str, bias: str | None, geometry: Geometry) -> Account:
        site = Site(weight, bias, geometry, first=not self._begun)
        for other in self.accounts.values():
            if bias is not None and other.site.bias == bias:
                self.misunderstood(bias, "shared by two weights, which cannot be spared together")
            if other.site.weight == weight and not _get_along(other.site, site):
                self.misunderstood(weight, "used in two ways, with a bias, which cannot be spared together")
        self.accounts[key] = Account(site, self._keeper(site))
        return self.accounts[key]

    def feel(self, gradients: Mapping[str, Tensor]) -> None:
        """The gradients, by name, of the first data of a task."""
        for account in self.accounts.values():
            site = account.site
            if site.weight in gradients:
                bias = None if site.bias is None else gradients.get(site.bias)
                account.keeper.feel(site.joint(gradients[site.weight], bias))

    def begin(self) -> None:
        """A task begins, whose first data were watched."""
        for account in self.accounts.values():
            if isinstance(account.keeper, LooksAhead):
                account.keeper.begin()
                account.begun = True

    def check_news(self) -> None:
        """Raises ValueError where there is nothing to consolidate."""
        if not self.has_news and not self._method.feels:
            raise ValueError(
                "Nothing has passed the model since the last consolidation, so there is nothing to keep: give batches, "
                "or let the model run inside `with protection.watching()`."
            )

    def settle(self, named: Mapping[str, nn.Parameter], made: Mapping[str, Made]) -> None:
        """The end of a task: consolidate every account, and freeze what was found to need it."""
        for name, why in (self._news | self._unfit(made)).items():
            self.frozen.setdefault(name, why)
        self._news = {}
        self._spread(made.values())
        weights = [account.site.weight for account in self.accounts.values()]
        if self._method.feels and not self.felt and any(w in named and w not in self.frozen for w in weights):
            raise ValueError(
                f"{type(self._method).__name__} has felt no gradient since the last consolidation, so there is nothing "
                "to keep: it must be attached while a task is learned, the first one too."
            )
        before = [copy.deepcopy(account.keeper.state_dict()) for account in self.accounts.values()]
        try:
            self._consolidate(named, made)
        except ValueError:
            # Half of a task is no task, and what cannot be kept would come up again the next time.
            self._renew(before)
            raise
        finally:
            self.has_news = self.felt = False

    def discard(self) -> None:
        """Forget what was seen since the last consolidation."""
        self._renew([account.keeper.state_dict() for account in self.accounts.values()])
        self.has_news = self.felt = False

    def _renew(self, states: Sequence[dict[str, Any]]) -> None:
        for account, state in zip(self.accounts.values(), states, strict=True):
            account.keeper = self._keeper(account.site)
            account.keeper.load_state_dict(state)

    def _keeper(self, site: Site) -> Keeper:
        return LookupKeeper(site) if site.geometry.lookup else self._method.keeper(site)

    def concerned(self) -> set[str]:
        """Names of parameters that must not move as they like."""
        sites = [account.site for account in self.kept()]
        return {name for s in sites for name in (s.weight, s.bias) if name is not None} | set(self.frozen)

    def _consolidate(self, named: Mapping[str, nn.Parameter], made: Mapping[str, Made]) -> None:
        for account in self.accounts.values():
            site = account.site
            if (site.weight in named or site.weight in made) and site.weight not in self.frozen:
                weight = named[site.weight].detach() if site.weight in named else made[site.weight].value()
                try:
                    geometry = fitted(site.weight, site.geometry, weight.shape)
                    account.energy = account.keeper.consolidate(geometry.matrix(weight))
                except ValueError as error:
                    raise ValueError(f"{site.weight}: {error} What was seen of this task is discarded.") from None

    def _unfit(self, made: Mapping[str, Made]) -> dict[str, str]:
        """Those made weights that cannot be spared, although they were used as linear maps of data, and why."""
        used = {name for account in self.accounts.values() for name in (account.site.weight, account.site.bias)}
        owners = Counter(part for whole in made.values() for part in whole.parts)
        unfit = {}
        for name, whole in made.items():
            if name not in used or name in self.frozen:
                continue
            why = whole.unfit()
            if self._method.feels or self._method.looks_ahead:
                why = f"made by {whole.how}, and {type(self._method).__name__} needs a weight that is a parameter"
            elif any(part in used or owners[part] > 1 for part in whole.parts):
                why = f"made by {whole.how} from a parameter that is used in another way too"
            if why is not None:
                unfit[name] = why
        return unfit

    def _spread(self, made: Iterable[Made]) -> None:
        """A weight, its bias and what either is made of share their fate, until nothing changes."""
        changed = True
        while changed:
            before = len(self.frozen)
            for site in (account.site for account in self.accounts.values()):
                if site.bias is not None:
                    if site.bias in self.frozen:
                        self.frozen.setdefault(site.weight, f"because its bias is: {self.frozen[site.bias]}")
                    elif site.weight in self.frozen:
                        self.frozen.setdefault(site.bias, f"because its weight is: {self.frozen[site.weight]}")
            for whole in made:
                why = next((self.frozen[name] for name in (whole.name, *whole.parts) if name in self.frozen), None)
                if why is not None:
                    for name in (whole.name, *whole.parts):
                        self.frozen.setdefault(name, why)
            changed = len(self.frozen) > before

    def kept(self) -> list[Account]:
        """The accounts whose weights are spared, not frozen."""
        return [
            account
            for account in self.accounts.values()
            if (account.energy is not None or account.begun) and account.site.weight not in self.frozen
        ]

    def state_dict(self) -> dict[str, Any]:
        accounts = {
            key: {
                "site": _plain(a.site),
                "keeper": a.keeper.state_dict(),
                "energy": a.energy,
                "rows": a.rows,
                "begun": a.begun,
            }
            for key, a in self.accounts.items()
        }
        method = type(self._method).__name__
        return {
            "method": method,
            "accounts": accounts,
            "frozen": self.frozen,
            "news": self._news,
            "direct": self.direct,
        }

    def check(self, state: Mapping[str, Any], subject: Subject) -> None:
        """Raises ValueError for a state that is not of this method, or not of this model."""
        if "accounts" not in state:
            raise ValueError("This is no state of a protection: it has no accounts of weights.")
        mine, its = type(self._method).__name__, state.get("method")
        if its != mine:
            raise ValueError(f"This is the state of a protection by {its}, and this one is by {mine}.")
        shapes = {name: tuple(p.shape) for name, p in subject.named().items()}
        shapes |= {name: tuple(whole.value().shape) for name, whole in subject.made().items()}
        for weight, _, plain, _ in (kept["site"] for kept in state["accounts"].values()):
            if weight in shapes:
                fitted(weight, Geometry(*plain), shapes[weight])
            elif subject.model is not None:
                raise ValueError(f"This state is of another model: there is no {weight} in this one.")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.frozen, self._news, self.direct = dict(state["frozen"]), dict(state["news"]), dict(state["direct"])
        self.accounts = {}
        for key, kept in state["accounts"].items():
            weight, bias, geometry, first = kept["site"]
            site = Site(weight, bias, Geometry(*geometry), first)
            keeper = self._keeper(site)
            keeper.load_state_dict(kept["keeper"])
            self.accounts[key] = Account(site, keeper, kept["energy"], kept["rows"], kept["begun"])


def _get_along(one: Site, other: Site) -> bool:
    """Whether what both forbid can be taken out one after the other: left and right of the same matrix, that is."""
    if one.geometry.lookup or other.geometry.lookup:
        return True
    return one.bias is None and other.bias is None and one.geometry.groups == other.geometry.groups == 1


def _plain(site: Site) -> tuple[str, str | None, tuple[int, int, int, bool, bool], bool]:
    g = site.geometry
    return site.weight, site.bias, (g.groups, g.outputs, g.inputs, g.transposed, g.lookup), site.first
