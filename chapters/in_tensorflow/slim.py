"""tf-slim, the successor of `tf.contrib`, made to run on TensorFlow 2.15.

tf-slim 1.1.0, its last release, asks TensorFlow for three private names that moved after 2.12. They
are put back here and nowhere else. TensorFlow 2.12 itself would run tf-slim as it is, but crashes
beside MXNet where it is imported first.
"""

from in_tensorflow import quiet  # noqa: F401  before TensorFlow
from keras.src.legacy_tf_layers import normalization as keras_normalization
from tensorflow import Tensor
from tensorflow.python.framework import ops
from tensorflow.python.layers import normalization
from tensorflow.python.ops import cond, control_flow_ops

ops.Tensor = Tensor  # moved to tensorflow.python.framework.tensor
control_flow_ops.cond = cond.cond  # moved to a module of its own
normalization.normalization = keras_normalization  # looked up in tf_keras, which isn't installed

import tf_slim as slim  # noqa: E402  after the names are back

__all__ = ["slim"]
