"""Pictures: histories as curves, what a network says, what goes on inside it, all in one style."""

from d2l_bn.figures.explorables import explore
from d2l_bn.figures.histories import curves
from d2l_bn.figures.layers import layer_histograms, scales_and_shifts
from d2l_bn.figures.notebook import LiveCurves
from d2l_bn.figures.predictions import confusions, prediction_grid
from d2l_bn.figures.sheet import poster
from d2l_bn.figures.style import COLOURS, MARKERS, new_figure, save

__all__ = [
    "COLOURS",
    "MARKERS",
    "LiveCurves",
    "confusions",
    "curves",
    "explore",
    "layer_histograms",
    "new_figure",
    "poster",
    "prediction_grid",
    "save",
    "scales_and_shifts",
]
