"""``simulate``: what a run would do with so many workers, stragglers and crashes, in virtual time, from a seed."""

from __future__ import annotations

from tune_core.simulation.executor import Faults, SimulationStalledError
from tune_core.simulation.result import Simulation
from tune_core.simulation.simulated_run import simulate

__all__ = ["Faults", "Simulation", "SimulationStalledError", "simulate"]
