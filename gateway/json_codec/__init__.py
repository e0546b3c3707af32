"""JSON of protobuf messages, read and written by their descriptors."""
