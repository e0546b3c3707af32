"""Who a caller is and what it may do: tokens, their keys and issuers, access to rpcs."""
