"""From measured air to the metrics of products: indices of air quality, running means, the heat index.

Belongs here: published formulas on numpy columns, units in their names, each with its source and its range. Does not:
what a provider calls a column, which clock it keeps, or a threshold of any product.
"""
