"""A stream that other people can install."""
