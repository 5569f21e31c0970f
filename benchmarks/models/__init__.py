"""Published models that only benchmarks need."""
