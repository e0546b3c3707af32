"""Authentication and authorization of callers: tokens, their keys and issuers, access to rpcs."""
