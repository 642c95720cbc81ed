"""The experiments of chapter 6; their tables are in results/."""
