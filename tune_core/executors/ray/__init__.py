"""Trials on Ray actors."""
