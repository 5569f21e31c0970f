"""Goal distances between latents, and the planning cost made of them."""
