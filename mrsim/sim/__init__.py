"""How one trial unfolds: SimPy components that emit a trace and know nothing of metrics."""
