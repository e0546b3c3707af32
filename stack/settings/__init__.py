"""Every setting of the system: the model, its catalog, the lists and the page made from it."""
