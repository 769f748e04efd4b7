"""Learning the shared features: private-shared multi-domain training (paper, 3)."""
