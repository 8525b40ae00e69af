"""The compute `local`: endpoints as processes on this machine, in virtual environments, bound to loopback.

```
mlops apply ── put ──▶ supervisor and gateway, one an endpoint  127.0.0.1:<port>, admin.sock
                            └─▶ workers, `instance_count` a deployment, each with a UNIX socket
.mlops/
├── endpoints/<compute>/<endpoint>/   port, configuration, logs; see `home`
├── environments/<digest>/            virtual environments, shared by what goes in; see `environments`
├── models/<digest>/                  model files, read-only
└── code/<digest>/                    code directories
```

A supervisor outlives the command. When it is gone (killed, or the machine was started anew), the endpoint is not live;
its folder and port stay, and the next apply serves it again at the same address.
"""

from mlops.drivers.local.driver import LocalDriver

DRIVER = LocalDriver

__all__ = ["DRIVER", "LocalDriver"]
