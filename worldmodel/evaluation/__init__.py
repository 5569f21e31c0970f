"""Closed-loop evaluation: problems, protocol, runner, results."""
