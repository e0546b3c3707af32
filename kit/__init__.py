"""What any room may use and could leave as a library of its own."""
