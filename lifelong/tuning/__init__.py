"""Settings found on the first tasks of a stream alone, before the life that they are for begins."""
