"""Streams that never end: messages from elsewhere, as they come."""
