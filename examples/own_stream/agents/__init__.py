"""A package of the user's own that happens to be called agents."""

from lifelong_agents.finetune import Finetune

__all__ = ["Finetune"]
