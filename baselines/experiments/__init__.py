"""Experiments: one recipe, trained with one thing changed, judged on the same images, answered on a page."""
