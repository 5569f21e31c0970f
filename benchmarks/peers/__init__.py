"""Benchmarks of others: their envs, scripted data and world model, beside ours."""
