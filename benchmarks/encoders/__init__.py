"""Which self-supervised objective gives an encoder to plan with."""
