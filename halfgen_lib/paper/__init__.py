"""Any notebook as a paper, in HTML and PDF; knows nothing of halves of images."""
