"""What batch normalization is held against: the source's text, and the mathematics in NumPy.

Tests, checks, benchmarks, experiments and chapters use it alike; the library itself never does.
"""
