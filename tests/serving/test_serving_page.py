"""The page on serving: what it asks can be asked, and what it shows as the answer has the answer's form."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from served_run import tasks_of

from lifelong.experience import Prediction
from lifelong.serving.answers import answers
from lifelong.serving.asking import Questions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "serving.md"


def test_the_question_and_the_answer_of_the_page(run: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    body = re.search(r"```json title=\"three\.json\"\n(.+?)```", text, flags=re.DOTALL)
    shown = re.search(r"```json\n(.+?)```", text, flags=re.DOTALL)
    assert body is not None
    assert shown is not None
    query = Questions(tasks_of(run)).read(body[1].encode())
    assert query.inputs.shape == (1, 1, 8, 8)
    told = answers(
        Prediction(torch.zeros(1, 10), torch.zeros(1, dtype=torch.int64), torch.ones(1, dtype=torch.bool)),
        query.contract.objective,
    )
    said = json.loads(shown[1])
    assert set(said) == {"answers", "checkpoint"}
    assert [list(one) for one in said["answers"]] == [list(one) for one in told]
