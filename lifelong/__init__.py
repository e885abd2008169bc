"""Agents that never stop learning.

Names below load on first use, so that `import lifelong` and `lifelong --help` stay quick.
"""
