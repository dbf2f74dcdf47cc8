"""Arithmetic on released numbers: histograms, factors, junction trees, estimation, sampling."""
