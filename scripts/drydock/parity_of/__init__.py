"""What of the platform is the same here and on AWS, looked at part by part; `make parity` shows it."""
