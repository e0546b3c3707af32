"""What a server accepts: by time, by rate, and from each caller."""
