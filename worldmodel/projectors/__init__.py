"""From an encoder's tokens to planning latents, corrected by proprio."""
