"""Learning by acting: models of worlds, what surprises them, who knows a world, and who acts in it."""
