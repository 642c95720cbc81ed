"""Images to learn from: find them, check them, read them, and cut them into batches."""

from d2l_bn.data.batching import Share, batch_count, batch_sizes, batches
from d2l_bn.data.dataset import Dataset
from d2l_bn.data.places import load, split

__all__ = ["Dataset", "Share", "batch_count", "batch_sizes", "batches", "load", "split"]
