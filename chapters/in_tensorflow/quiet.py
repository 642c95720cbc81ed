"""TensorFlow without its notes on the terminal; to be imported before TensorFlow."""

from __future__ import annotations

import contextlib
import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is first imported


def quiet_tensorflow():
    """Import TensorFlow, without its notes that version 1 has a successor."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    return tf


@contextlib.contextmanager
def deprecation_unsaid():
    """Silence warnings that a layer is deprecated: the chapter shows old ones, and says so."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*`[\w.]+` is deprecated")
        yield
