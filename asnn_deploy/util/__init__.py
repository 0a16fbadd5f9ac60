"""What every other room uses: arrays, files, discovery, suggestions."""
