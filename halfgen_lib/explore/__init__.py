"""Complete and explore pictures of one's own, and the data set's."""
