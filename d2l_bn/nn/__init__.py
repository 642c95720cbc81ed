"""Batch normalization itself: start here, with `normalization.py`, then `layer.py`.

This room imports MXNet and nothing else of the package.
"""
