"""A training run in its parts: recipe, sequences, steps, checkpoints, log, curve, verdict."""
