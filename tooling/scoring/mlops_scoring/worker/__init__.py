"""The worker: one process that holds one model and answers on one UNIX socket."""
