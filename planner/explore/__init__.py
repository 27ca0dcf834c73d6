"""The what-if page: controls that are settings of the model, plans worked out behind it."""
