"""One call of ``fit``, from its arguments to its result."""
