"""Learning an encoder from video without labels: masks, losses."""
