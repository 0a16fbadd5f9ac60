"""What enters a network: images and their codings, preprocessing, data sets."""
