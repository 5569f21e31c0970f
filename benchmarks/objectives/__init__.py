"""Self-supervised objectives on one backbone, a file each, to compare encoders by."""
