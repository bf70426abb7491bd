"""Image data sets: layouts, splits, caching, and the synthetic hands."""
