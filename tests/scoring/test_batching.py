"""Dynamic batches: requests that wait are given to the model together, and each gets its own rows back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.rig import PATIENCE, Answer, Supervised, Worker, await_truth, connect
from tests.scoring.serving_models import ModelWorkers

LONG = 10_000 * PATIENCE
"""Milliseconds that no test would wait: a batch that is answered was full."""


def counting(served: ModelWorkers, size: int, delay: float = LONG) -> Worker:
    """The model that tells how many rows it was given at once."""
    return served.serve("onnx", "onnx-counting", batching={"max_batch_size": size, "max_delay_ms": delay})


def look_up(worker: Worker, numbers: Sequence[int], *outputs: str) -> Answer:
    """Ask for some numbers."""
    tensor = {"name": "index", "datatype": "INT64", "shape": [len(numbers)], "data": list(numbers)}
    body = {"inputs": [tensor], "outputs": [{"name": name} for name in outputs]}
    return worker.ask(json.dumps(body), path="/v2/models/onnx-counting/infer")


def told(answer: Answer) -> dict[str, Any]:
    """Data by output."""
    assert answer.status == 200, answer
    return {found["name"]: found["data"] for found in answer.json["outputs"]}


def together(worker: Worker, asked: Sequence[Sequence[int]]) -> list[Answer]:
    """Ask for all at once, each in a connection of its own."""
    with ThreadPoolExecutor(len(asked)) as threads:
        return list(threads.map(lambda numbers: look_up(worker, numbers), asked))


def test_requests_are_answered_together_and_each_with_its_own_rows(served: ModelWorkers) -> None:
    asked = [[1], [2, 3], [4, 5, 6], [7, 0]]
    answers = together(counting(served, 8), asked)
    for numbers, answer in zip(asked, answers, strict=True):
        assert told(answer) == {"value": [n * n for n in numbers], "together": [8] * len(numbers)}


def test_a_request_as_large_as_a_batch_does_not_wait(served: ModelWorkers) -> None:
    worker = counting(served, 8)
    assert told(look_up(worker, range(8)))["together"] == [8] * 8
    assert told(look_up(worker, [1] * 9))["together"] == [9] * 9
    assert told(look_up(worker, [])) == {"value": [], "together": []}


def test_a_batch_that_is_not_full_goes_after_the_delay(served: ModelWorkers) -> None:
    assert told(look_up(counting(served, 8, 1), [3])) == {"value": [9.0], "together": [1]}


def test_without_the_setting_every_request_is_alone(served: ModelWorkers) -> None:
    worker = served.serve("onnx", "onnx-counting")
    assert {found for answer in together(worker, [[1]] * 6) for found in told(answer)["together"]} == {1}


def test_a_bad_request_in_a_batch_fails_alone(served: ModelWorkers) -> None:
    asked = [[1], [2], [99], [4]]
    answers = together(counting(served, 4), asked)
    assert [answer.status for answer in answers] == [200, 200, answers[2].status, 200]
    assert answers[2].status in {400, 500}
    assert [told(answers[place])["value"] for place in (0, 1, 3)] == [[1.0], [4.0], [16.0]]


def test_requests_for_different_outputs_are_not_mixed(served: ModelWorkers) -> None:
    worker = counting(served, 4)
    with ThreadPoolExecutor(8) as threads:
        asked = [(threads.submit(look_up, worker, [n], name), name) for n in range(4) for name in ("value", "together")]
    values = [told(found.result()) for found, name in asked if name == "value"]
    counts = [told(found.result()) for found, name in asked if name == "together"]
    assert values == [{"value": [n * n]} for n in range(4)]
    assert counts == [{"together": [4]}] * 4


def test_a_full_batch_does_not_wait_for_one_that_is_not(served: ModelWorkers) -> None:
    worker = counting(served, 4)
    with ThreadPoolExecutor(7) as threads:
        values = [threads.submit(look_up, worker, [n], "value") for n in range(3)]
        counts = [threads.submit(look_up, worker, [n], "together") for n in range(4)]
        assert [told(found.result()) for found in counts] == [{"together": [4]}] * 4
        assert told(look_up(worker, [3], "value")) == {"value": [9]}
    assert [told(found.result()) for found in values] == [{"value": [n * n]} for n in range(3)]


@pytest.mark.parametrize(("runtime", "name"), [("sklearn", "named"), ("mlflow", "mlflow")])
def test_data_frames_are_joined_and_divided(served: ModelWorkers, models: Path, runtime: str, name: str) -> None:
    expected = json.loads((models / "expected.json").read_bytes())
    worker = served.serve(runtime, name, batching={"max_batch_size": 3, "max_delay_ms": LONG})
    bodies: list[tuple[str, object]] = [
        ("/score", {"data": [expected["rows"][0][:3]]}),
        ("/score", {"input_data": {"columns": list("cba"), "data": [expected["rows"][1][2::-1]]}}),
        ("/invocations", {"dataframe_split": {"columns": list("abc"), "data": [expected["rows"][2][:3]]}}),
    ]
    if runtime == "mlflow":
        bodies[1] = ("/score", {"input_data": {"columns": list("abc"), "data": [expected["rows"][1][:3]]}})
    headers = {"Content-Type": "application/json"}
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda pair: worker.ask(json.dumps(pair[1]), path=pair[0], headers=headers), bodies))
    assert [answer.status for answer in answers] == [200] * 3, answers
    assert answers[0].json + answers[1].json + answers[2].json["predictions"] == pytest.approx(expected["regression"])


def test_a_client_that_goes_does_not_take_the_others_answers(served: ModelWorkers) -> None:
    worker = counting(served, 4, 500)  # full only where the request that is lost was already taken
    tensor = {"name": "index", "datatype": "INT64", "shape": [1], "data": [9]}
    body = json.dumps({"inputs": [tensor]}).encode()
    head = b"POST /v2/models/onnx-counting/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with connect(worker.socket) as lost:
        lost.sendall(head + body)
    answers = together(worker, [[1], [2], [3]])
    assert [told(answer)["value"] for answer in answers] == [[1.0], [4.0], [9.0]]


def test_a_timeout_is_not_put_off_by_the_delay(served: ModelWorkers, supervised: Supervised) -> None:
    settings = {"request_timeout_ms": 500, "max_concurrent_requests_per_instance": 4, "max_queue_wait_ms": 20000}
    batching = {"max_batch_size": 4, "max_delay_ms": LONG}
    deployment = served.deployment("onnx", "onnx-counting", batching=batching, request_settings=settings)
    supervised.start(supervised.document({"blue-1": deployment}, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")
    assert supervised.score({"data": [1]}).status == 504

    # Four rows are a batch of their own, which does not wait.
    await_truth(lambda: supervised.score({"data": [1, 2, 3, 4]}).status == 200, "the worker goes on")
    assert supervised.score({"data": [1, 2, 3]}).status in {200, 504}  # fills the batch, so that the worker can end
