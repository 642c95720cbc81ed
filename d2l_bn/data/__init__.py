"""Images to learn from: find them, check them, read them, and cut them into batches."""

from d2l_bn.data.batching import batch_count, batches
from d2l_bn.data.dataset import Dataset
from d2l_bn.data.places import load, split

__all__ = ["Dataset", "batch_count", "batches", "load", "split"]
