"""How fast training is, beside Gluon's layer, the source's text and PyTorch: `make bench`."""
