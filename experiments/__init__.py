"""Long runs on what batch normalization does; their tables are in results/."""
