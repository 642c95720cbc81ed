"""What a layer has for each channel: parameters, and statistics, which are kept but not trained."""

from __future__ import annotations

from mxnet import cpu, gluon, initializer, nd


class ChannelParameter(gluon.Parameter):
    """A parameter of shape (1, C) or (1, C, 1, 1), which takes Gluon's (C,) from a file, too.

    Gluon's own batch normalization has the same values by the same names, without the lengths of 1.

    Notes
    -----
    This relies on private names of Gluon: it overrides `_load_init`, and asks
    `ParameterDict._get_impl`.
    """

    @classmethod
    def of(cls, params: gluon.ParameterDict, name: str, shape: tuple[int, ...], **options):
        """The parameter `name` in `params`; it is made there unless another layer shares it."""
        full_name = params.prefix + name
        if params._get_impl(full_name) is None:
            params.update({full_name: cls(full_name, shape=shape, **options)})
        return params.get(name, shape=shape)

    def _load_init(self, data: nd.NDArray, ctx, **kwargs) -> None:
        if data.shape == (self.shape[1],):
            data = data.reshape(self.shape)
        super()._load_init(data, ctx, **kwargs)


class Statistic(ChannelParameter):
    """One array of zeros that lives in one place, from construction on.

    A Gluon `Parameter` has no value before ``initialize`` and one copy for each context after it. A
    statistic has a value at once and a single copy, which its layer moves to where the data is. As
    a `Parameter` it is saved, loaded, cast and moved together with the network; as one whose
    ``grad_req`` is "null" it is passed over by every trainer.

    Parameters
    ----------
    name : str
        The full name, with the prefix of the layer.
    shape : tuple of int
        The shape of the array.
    called : str, optional
        Its name in error messages, where that isn't `name`.

    Notes
    -----
    This relies on private names of Gluon: it overrides `_init_impl` and `_load_init`, and sets
    `_data` and `_ctx_list`. A plain `Parameter` with "null" as its ``grad_req`` would not do,
    since it has no value before ``initialize``, which the source's statistics have, and one copy
    for each context after it.
    """

    def __init__(self, name: str, shape: tuple[int, ...], called: str = "") -> None:
        super().__init__(name, grad_req="null", shape=shape, init="zeros", differentiable=False)
        self.called = called or name
        self._data = [nd.zeros(shape, ctx=cpu())]

    def data(self, ctx=None) -> nd.NDArray:
        """The array, wherever it is. There is no other copy, so `ctx` does not matter."""
        return self._data[0]

    def set_data(self, data: nd.NDArray) -> None:
        """Take a copy of `data` as the new value, in its context and without its graph.

        Raises
        ------
        ValueError
            If `data` is not an NDArray of the statistic's shape and type.
        """
        kept = self.data()
        if not isinstance(data, nd.NDArray):
            raise ValueError(
                f"{self.called} must be an NDArray, got {type(data).__name__}. Use mx.nd.array()."
            )
        if (data.shape, data.dtype) != (kept.shape, kept.dtype):
            raise ValueError(
                f"{self.called} must have shape {kept.shape} and type {kept.dtype.__name__}, got "
                f"{data.shape} and {data.dtype.__name__}. Use .reshape() or .astype()."
            )
        self.keep(data.copy())

    def keep(self, data: nd.NDArray) -> None:
        """Take `data` itself, unchecked: for a layer, whose new averages nobody else holds."""
        self._data = [data.detach()]

    def initialize(self, init=None, ctx=None, default_init=None, force_reinit=False) -> None:
        """Move to the network's context. The value stays, unless `force_reinit` asks for zeros."""
        if self._ctx_list is None and not force_reinit:
            self.reset_ctx(ctx)
        else:
            super().initialize(init, ctx, default_init or initializer.Zero(), force_reinit)

    def _init_impl(self, data: nd.NDArray, ctx_list: list) -> None:
        # The network's contexts are remembered, since Trainer asks that all parameters share them.
        self._ctx_list = list(ctx_list)
        self._data = [data.copyto(self._ctx_list[0])]

    def _load_init(self, data: nd.NDArray, ctx, **kwargs) -> None:
        if self._ctx_list is None:  # loaded before any initialize: go where the network goes
            self.reset_ctx(ctx or cpu())
        super()._load_init(data.as_in_context(self._ctx_list[0]), ctx, **kwargs)
