"""What really happened: recorded incidents, simulated and compared with their records."""
