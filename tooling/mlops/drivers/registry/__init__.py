"""The embedded registry: a SQLite index over content-addressed files, in a folder of the repository.

```
.mlops/registry/
├── index.sqlite3       what is registered, and what ever was
├── index.lock          held by writers
├── journal.jsonl       the same in order, from which a lost index is made again
├── sha256/ab/…         content by digest, read-only
├── incoming/           files that are being written; swept when their writer is gone
├── verified/           which content was hashed since it last changed
└── damaged/            what was set aside by `mlops model verify --rebuild`
```
"""

from mlops.drivers.registry.blobs import FileBlobs
from mlops.drivers.registry.copying import copy_file
from mlops.drivers.registry.driver import DRIVER, RegistryDriver
from mlops.drivers.registry.rows import content_digest

__all__ = ["DRIVER", "FileBlobs", "RegistryDriver", "content_digest", "copy_file"]
