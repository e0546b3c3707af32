"""`plaudit mesh`: the whole system on one machine, several processes of each service, with Envoy in front."""
