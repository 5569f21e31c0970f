"""Files that appear whole or not at all, locks, and plain values in them."""
