"""The supervisor: one process for one endpoint, which is gateway, keeper of the workers and admin interface in one."""
