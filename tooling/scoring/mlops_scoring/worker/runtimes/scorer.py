"""`/score` of a model without an entry script."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mlops_scoring.worker.prediction import Predictor
from mlops_scoring.worker.runtimes.tabular import Values, parse_request, predictions_answer
from mlops_scoring.worker.scoring import Answer, Schema, ScoringRequest


@dataclass(frozen=True, slots=True)
class ModelScorer:
    """A model that answers `/score`.

    Attributes:
        predictor: The model; the other dialects ask it themselves.
        takes_rows: Whether `data` is rows, or nested lists of any depth.
    """

    predictor: Predictor
    takes_rows: bool

    def score(self, request: ScoringRequest) -> Answer:
        """Predict for what a request holds."""
        asked = parse_request(request, rows=self.takes_rows)
        output = self.predictor.output_of(asked.method)
        content = asked.content
        if isinstance(content, Values):
            feed = self.predictor.feed_values(content.values, content.where)
        else:
            feed = self.predictor.feed_table(content)
        started = time.perf_counter()
        (found,) = self.predictor.predict(feed, (output,))
        milliseconds = (time.perf_counter() - started) * 1000
        return predictions_answer(self.predictor.plain(found), milliseconds)

    def schema(self) -> Schema:
        """What swagger says of it."""
        return self.predictor.schema()
