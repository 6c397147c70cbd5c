"""Given the left half of a Fashion-MNIST image, generate the right half."""
