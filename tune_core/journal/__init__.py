"""The log of an experiment: written, read, and replayed."""
