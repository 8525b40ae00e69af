"""The Open Inference Protocol, version 2, over REST: health, metadata and inference, as KServe and Triton speak it."""

from __future__ import annotations

import importlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from mlops_scoring import __version__
from mlops_scoring.configuration import Deployment
from mlops_scoring.worker.condition import Condition
from mlops_scoring.worker.dialects.open_inference_messages import Infer, read, write
from mlops_scoring.worker.prediction import Array, Predictor, Signature, TensorSpec
from mlops_scoring.worker.routes import Route, Routes
from mlops_scoring.worker.runtimes.arrays import element_types
from mlops_scoring.worker.runtimes.scorer import ModelScorer
from mlops_scoring.worker.scoring import INTERNAL_ERROR, Answer, Scorer, ScoringRequest, Unfit

ELSEWHERE = "/v2/*"
"""Key of the route that answers what is below `/v2/` and nowhere else."""

ANY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_log = logging.getLogger("mlops_scoring.worker")
_JSON = ("content-type", "application/json")
_SCRIPT = Signature("azureml_script", (), (), ())


def open_inference_routes(scorer: Scorer, deployment: Deployment, condition: Condition) -> Routes:
    """The routes of one model.

    Args:
        scorer: The model, or a script: that gets `{"name": nested lists}` as the body of `/score`, and each value of
            the object that it returns is an output.
        deployment: Whose model name and version the paths have; its declared name where it has no model.
        condition: What the health routes tell.
    """
    name = deployment.model.name or deployment.declared_name
    version = deployment.model.version
    identity = {"model_name": name, **({"model_version": version} if version else {})}
    answerer = _Answerer(scorer, identity)
    signature = scorer.predictor.signature if isinstance(scorer, ModelScorer) else _SCRIPT
    metadata: dict[str, object] = {"name": name, "versions": [version] if version else []}
    metadata |= {"platform": signature.platform}
    metadata |= {"inputs": _described(signature.inputs), "outputs": _described(signature.outputs)}
    server = {"name": "mlops-scoring", "version": __version__, "extensions": ["binary_tensor_data"]}
    routes = {
        "/v2": _fixed(server),
        "/v2/health/live": _fixed({"live": True}),
        "/v2/health/ready": _readiness({}, condition),
        ELSEWHERE: Route(ANY_METHOD, _nothing_there(name, version)),
    }
    for base in [f"/v2/models/{name}", *([f"/v2/models/{name}/versions/{version}"] if version else [])]:
        routes[base] = _fixed(metadata)
        routes[f"{base}/ready"] = _readiness({"name": name}, condition)
        routes[f"{base}/infer"] = Route(("POST",), answerer.infer, scores=True)
    return routes


class _Answerer:
    """Answers `infer`."""

    def __init__(self, scorer: Scorer, identity: Mapping[str, object]) -> None:
        self._scorer = scorer
        self._identity = identity

    def infer(self, request: ScoringRequest) -> Answer:
        """One inference; errors have the protocol's form."""
        try:
            numpy = importlib.import_module("numpy")
            infer = read(request, numpy)
            if isinstance(self._scorer, ModelScorer):
                return self._predict(self._scorer.predictor, infer, numpy)
            return self._run(request, infer, numpy)
        except Unfit as unfit:
            return error(unfit.status, str(unfit))
        except ImportError as missing:
            return error(501, f"The model's environment lacks {missing.name}, which this protocol needs; use /score.")
        except Exception:  # noqa: BLE001 - an error of this request, not of the worker
            _log.exception("%s failed", request.path)
            return error(500, INTERNAL_ERROR)

    def _predict(self, predictor: Predictor, infer: Infer, numpy: Any) -> Answer:  # noqa: ANN401 - a module
        signature = predictor.signature
        known = {spec.name for spec in signature.outputs}
        for place, name in enumerate(infer.outputs):
            if known and name not in known:
                listed = ", ".join(sorted(known))
                raise Unfit(f"outputs[{place}].name: the model has no output {name[:100]!r}; it gives {listed}.")
        feed = predictor.feed_tensors(infer.tensors, infer.paths)
        started = time.perf_counter()
        found = predictor.tensors(feed, tuple(infer.outputs) or signature.defaults)
        milliseconds = (time.perf_counter() - started) * 1000
        return write(infer, self._identity, found, numpy, milliseconds)

    def _run(self, request: ScoringRequest, infer: Infer, numpy: Any) -> Answer:  # noqa: ANN401 - a module
        body = json.dumps({name: found.tolist() for name, found in infer.tensors.items()}).encode()
        kept = [pair for pair in request.headers if pair[0] not in {b"content-type", b"content-encoding"}]
        headers = (*kept, (b"content-type", b"application/json"))
        asked = ScoringRequest("POST", "/score", b"", headers, body, request.request_id)
        answer = self._scorer.score(asked)
        if answer.status != 200 or answer.stream is not None:
            return _failed(answer)
        found = _outputs(numpy, answer.body)
        for place, name in enumerate(infer.outputs):
            if name not in found:
                raise Unfit(f"outputs[{place}].name: the script gave no {name[:100]!r}.")
        wanted = {name: found[name] for name in infer.outputs} if infer.outputs else found
        return write(infer, self._identity, wanted, numpy, answer.milliseconds)


def _outputs(numpy: Any, body: bytes) -> Mapping[str, Array]:  # noqa: ANN401 - a module
    """What a script returned as arrays: of numbers or strings, or of its JSON text where it is neither."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = body.decode("utf-8", "replace")
    named = value if isinstance(value, dict) else {"output": value}
    return {name: _array(numpy, found) for name, found in named.items()}


def _array(numpy: Any, value: object) -> Array:  # noqa: ANN401 - a module
    types = element_types(value)
    if types is not None and (types <= {int, float, bool} or types == {str}):
        try:
            found = numpy.array(value, dtype=object if types == {str} else None)
        except (ValueError, OverflowError):
            found = None
        if found is not None and (types == {str} or found.dtype.kind in "biuf"):
            return found if found.ndim else found.reshape(1)
    return numpy.array([json.dumps(value)], dtype=object)


def _failed(answer: Answer) -> Answer:
    if answer.stream is not None:
        return error(500, "The script streams its answer, which this protocol cannot carry; use /score.")
    try:
        message = json.loads(answer.body)["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = answer.body.decode("utf-8", "replace")[:1000]
    status = answer.status if answer.status >= 400 else 500
    failed = error(status, str(message))
    return Answer(failed.status, failed.body, failed.headers, answer.run_function_failed, answer.milliseconds)


def _described(specs: tuple[TensorSpec, ...]) -> list[dict[str, object]]:
    return [{"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)} for spec in specs]


def _fixed(value: Mapping[str, object]) -> Route:
    body = json.dumps(value).encode()
    return Route(("GET",), lambda _: Answer(200, body, [_JSON], None))


def _readiness(about: Mapping[str, object], condition: Condition) -> Route:
    def answer(request: ScoringRequest) -> Answer:
        del request
        body = json.dumps({**about, "ready": condition.ready}).encode()
        return Answer(200 if condition.ready else 503, body, [_JSON], None)

    return Route(("GET",), answer)


def _nothing_there(name: str, version: str) -> Callable[[ScoringRequest], Answer]:
    def answer(request: ScoringRequest) -> Answer:
        parts = request.path.split("/")[2:]
        if len(parts) > 1 and parts[0] == "models" and parts[1] != name:
            return error(404, f"There is no model {parts[1][:100]!r} here; there is {name!r}.")
        if len(parts) > 3 and parts[2] == "versions" and parts[3] != version:
            return error(404, f"There is no version {parts[3][:100]!r} of {name!r} here; there is {version!r}.")
        return error(404, "There is no such route in this protocol, or it is an extension that is not supported.")

    return answer


def error(status: int, text: str) -> Answer:
    """An error in the protocol's form."""
    return Answer(status, json.dumps({"error": text}).encode(), [_JSON])
