"""Training: the Lightning module, augmentation, and run folders."""
