"""Answers over HTTP from the last good checkpoint of a run, while the run goes on in another process."""
