"""Do what a plan says, and nothing else.

A failure skips what depends on it and nothing more; every change ends as a `Result`. The engine decides about waiting,
checking and returning; drivers only put and delete.
"""

from mlops.apply.result import Outcome, Progress, Result
from mlops.apply.walk import Execution, apply_sections

__all__ = ["Execution", "Outcome", "Progress", "Result", "apply_sections"]
