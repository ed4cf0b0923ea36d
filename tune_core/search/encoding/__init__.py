"""Translation between search spaces and what search libraries take."""
