"""What commands share, and the commands that are not in :mod:`mrsim.cli` itself."""
