"""Statistical models that searchers and schedulers share: NumPy alone."""
