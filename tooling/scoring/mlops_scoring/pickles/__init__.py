"""Pickles are code: what may be unpickled is said in Git, by format and by class; the rest is refused.

A pickle is a program for a small machine that can import any name and call it. Lists of bad names are incomplete by
nature (every public scanner has been got round), so this is a list of good ones: a file passes when every name that it
would import is a plain container of the standard library or NumPy, or is listed in the policy. What cannot be
understood is refused.

`scan` needs neither NumPy nor joblib nor scikit-learn, and runs nothing of the file: names become inert stand-ins. It
serves registration, where none of them is installed, and every start of a worker. `load` scans and then loads with an
unpickler that knows only the allowed names.
"""

from mlops_scoring.pickles.formats import Format, detect, may_hold_pickle
from mlops_scoring.pickles.loading import PickleRefused, load
from mlops_scoring.pickles.scanning import needed_classes, scan

__all__ = ["Format", "PickleRefused", "detect", "load", "may_hold_pickle", "needed_classes", "scan"]
