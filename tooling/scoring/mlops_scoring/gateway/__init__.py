"""What stands before an endpoint's deployments: weights, the deployment header, queues, limits, counters."""
