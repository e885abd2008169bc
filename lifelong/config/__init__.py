"""Configurations: YAML that mirrors constructor calls, checked in full before anything runs."""

from lifelong.config.errors import ConfigError, Problem
from lifelong.config.load import Resolved, load_config, load_settings
from lifelong.config.settings import AgentPlan, RecordSettings, Study

__all__ = [
    "AgentPlan",
    "ConfigError",
    "Problem",
    "RecordSettings",
    "Resolved",
    "Study",
    "load_config",
    "load_settings",
]
