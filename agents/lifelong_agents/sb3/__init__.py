"""Stable-Baselines3's algorithms as experts: driven through `learn`, callbacks and a VecEnv, and in no other way."""
