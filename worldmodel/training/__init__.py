"""The training loops: pretraining, the world model, the goal distance."""
