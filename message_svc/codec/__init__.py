"""The only place of the service that reads or builds protobuf fields, and what nodes send to each other."""
