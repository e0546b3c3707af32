"""What every service may use: independent of the services, like a library."""
