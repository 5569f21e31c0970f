"""Copies of networks that plan: laid out once, without gradients, in one precision."""
