"""Streams of worlds to act in: gymnasium environments that change while they are lived in."""
