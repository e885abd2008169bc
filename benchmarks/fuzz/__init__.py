"""Bad input, by the ten thousand: see benchmarks/fuzz/__main__.py."""
