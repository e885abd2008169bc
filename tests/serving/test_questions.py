"""What may be asked, and what is said of all that may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from lifelong.objective import Classification, Contract
from lifelong.serving.asking import SAMPLES, Questions, Refused
from lifelong.stream import Task


def task(name: str, shape: tuple[int, ...] = (2, 3), label: str | None = None, **kind: Any) -> Task:
    contract = Contract(shape, kind.get("outputs", 4), Classification())
    inputs = torch.arange(10 * contract.outputs).reshape(10, -1)[:, :1].expand(10, 6).reshape(10, *shape or (6,))
    inputs = (inputs if shape else inputs[:, 0]).to(kind.get("dtype", torch.float32))
    return Task(name, contract, inputs, torch.zeros(10, dtype=torch.int64), label)


TWO = Questions([task("A"), task("B")])
NESTED = [[[1, 2.5, -3], [4e-3, 5, 6]], [[7, 8, 9], [10, 11, 12]]]


def read(questions: Questions, inputs: Any, **more: Any) -> Any:
    return questions.read(json.dumps({"inputs": inputs} | more).encode())


@pytest.mark.parametrize("inputs", [NESTED, [[x for row in sample for x in row] for sample in NESTED]])
def test_nested_and_flat_samples_are_the_same_question(inputs: Any) -> None:
    query = read(TWO, inputs)
    assert query.inputs.dtype == torch.float32
    assert torch.equal(query.inputs, torch.tensor(NESTED))
    assert (query.contract, query.task) == (TWO.tasks[0].contract, None)


@pytest.mark.parametrize("named", [{}, {"task": None}, {"task": "B"}])
def test_where_all_tasks_ask_alike_nobody_need_say_which(named: dict[str, Any]) -> None:
    assert not TWO.needs_task
    assert read(TWO, NESTED, **named).task is None


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ([task("A", label="A"), task("B", label="B")], "B"),
        ([task("A"), task("B", outputs=3)], None),
        ([task("B", label="B")], "B"),
    ],
)
def test_where_they_do_not_it_is_asked_for_and_passed_on_only_where_the_scenario_tells(
    tasks: list[Task], told: str | None
) -> None:
    questions = Questions(tasks)
    query = read(questions, NESTED, task="B")
    assert (query.contract, query.task) == (tasks[-1].contract, told)
    with pytest.raises(Refused, match=r"questions say which task they are of: add \"task\", one of .*B\."):
        read(questions, NESTED)


def test_numbers_without_a_shape_and_whole_numbers_are_read_as_the_stream_has_them() -> None:
    assert read(Questions([task("A", ())]), [1.5, 2]).inputs.tolist() == [1.5, 2.0]
    words = Questions([task("A", dtype=torch.uint8)])
    query = read(words, [[0, 1, 2, 3, 254, 255]])
    assert (query.inputs.dtype, query.inputs.tolist()) == (torch.uint8, [[[0, 1, 2], [3, 254, 255]]])
    for wrong in (256, -1, 0.5, 1e300):
        with pytest.raises(Refused, match="sample 0 has a number that is none of uint8"):
            read(words, [[0, 0, 0, 0, 0, wrong]])


SIX = "expected nested lists of shape [2, 3], or a list of 6 numbers"
NO_JSON = [
    (b"", "Expecting value"),
    (b'{"inputs": [[1,2,3', "cannot be read as JSON"),
    (b"\xff\xfe\x00\xd8", "cannot be read as JSON"),
    (b'{"inputs": [[1,2,3,4,5,NaN]]}', "NaN is no number of JSON"),
    (b'{"inputs": [[1,2,3,4,5,-Infinity]]}', "-Infinity is no number of JSON"),
    (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
    (b'{"inputs": [[1,2,3,4,5,' + b"9" * 9999 + b"]]}", "cannot be read as JSON"),
]
UNFIT = [
    ("[1, 2]", 'expected {"inputs": [...]}'),
    ('"inputs"', 'expected {"inputs": [...]}'),
    ("null", "got null"),
    ("{}", "got the keys none"),
    ('{"inputs": [[1,2,3,4,5,6]], "tusk": "A"}', "got the keys 'inputs', 'tusk'"),
    ('{"inputs": {}}', "inputs must be a list of 1 to 1,024 samples, got {}"),
    ('{"inputs": []}', "got 0 samples"),
    ('{"inputs": [[1,2,3,4,5]]}', f"sample 0 has a list of 5 in place of one of 2; {SIX}"),
    ('{"inputs": [[1,2,3,4,5,6], []]}', f"sample 1 has a list of 0 in place of one of 2; {SIX}"),
    ('{"inputs": [1,2,3,4,5,6]}', f"sample 0 has 1 in place of a list; {SIX}"),
    ('{"inputs": [[[1,2,3],[4,5]]]}', "sample 0 has a list of 2 in place of one of 3"),
    ('{"inputs": [[[1,2,3],4]]}', "sample 0 has 4 in place of a list"),
    ('{"inputs": [[1,2,3,4,5,[6]]]}', "sample 0 has [6] in place of a number"),
    ('{"inputs": [[[[1],2,3],[4,5,6]]]}', "sample 0 has [1] in place of a number"),
    ('{"inputs": [[1,2,3,4,5,null]]}', "sample 0 has null in place of a number"),
    ('{"inputs": [[1,2,3,4,5,true]]}', "sample 0 has true in place of a number"),
    ('{"inputs": [["' + "x" * 999 + '",2,3,4,5,6]]}', "... in place of a number"),
    ('{"inputs": ["abcdef"]}', "sample 0 has 'abcdef' in place of a list"),
    ('{"inputs": [[1,2,3,4,5,1e999]]}', "sample 0 has a number that is none of float32: infinite"),
    ('{"inputs": [[1,2,3,4,5,6],[1,2,3,4,5,1e300]]}', "sample 1 has a number that is none of float32"),
    ('{"inputs": [[1,2,3,4,5,' + "9" * 400 + "]]}", "sample 0 has int too large to convert to float"),
    ('{"inputs": [[1,2,3,4,5,6]], "task": "C"}', "there is no task 'C'. There are: A, B."),
    ('{"inputs": [[1,2,3,4,5,6]], "task": 7}', "there is no task 7. There are: A, B."),
    ('{"inputs": [[1,2,3,4,5,6]], "task": ["A"]}', "there is no task ['A']"),
]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [(body, 400, said) for body, said in NO_JSON] + [(body.encode(), 422, said) for body, said in UNFIT],
)
def test_what_cannot_be_asked_is_refused_with_what_was_expected(body: bytes, status: int, said: str) -> None:
    with pytest.raises(Refused) as caught:
        TWO.read(body)
    assert said in str(caught.value)
    assert caught.value.status == status
    assert len(str(caught.value)) < 400


def test_as_many_samples_as_allowed_and_not_one_more() -> None:
    assert len(read(TWO, [[0] * 6] * SAMPLES).inputs) == SAMPLES
    with pytest.raises(Refused, match="got 1,025 samples"):
        read(TWO, [[0] * 6] * (SAMPLES + 1))


def test_a_question_of_each_kind_is_tried_once() -> None:
    tasks = [task("A"), task("B"), task("C", outputs=3), task("D", label="D"), task("E", outputs=3)]
    tried = list(Questions(tasks).samples())
    assert [(q.contract.outputs, q.task, len(q.inputs)) for q in tried] == [(4, None, 8), (3, None, 8), (4, "D", 8)]
