"""The composition root: the only place that knows every adapter and puts them together."""
