"""Messages that disappear after a time: the setting, the boundary, and the removal of rows."""
