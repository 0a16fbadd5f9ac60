"""One network in all its forms: sources, bundles, exporters, targets."""
