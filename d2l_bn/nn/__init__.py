"""Batch normalization itself: MXNet and nothing else."""
