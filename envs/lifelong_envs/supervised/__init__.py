"""Supervised task streams: a data set on the training device, turned into a stream of tasks by a scenario."""
