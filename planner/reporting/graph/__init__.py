"""The graph of an infrastructure as a picture, a page and files for other programs."""
