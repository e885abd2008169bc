"""What people are told: everything at once, where it stands, what was expected."""

from __future__ import annotations

import pytest
from toy_study import MINIMAL, Load

from lifelong.config import ConfigError


def problems(load: Load, text: str = MINIMAL, *overrides: str, build: bool = False) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, *overrides).build() if build else load(text, *overrides)
    assert isinstance(caught.value, ValueError)
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def test_all_problems_are_told_at_once_each_with_its_line(load: Load) -> None:
    text = """\
    stream:
      name: toy_parts:toy_stream
      data:
        name: toy_parts:Numbers
        cuont: 3
      hours:
        steps: many
    agent:
      name: toy_parts:ToyAgnt
    sede: 3
    evaluation: {within: true}
    """
    told = problems(load, text, "record.wandb=offlin")
    assert told == [
        "study.yaml:10: sede: unknown key. Did you mean 'seed'? This section takes: stream, agent, reference, agents, "
        "seed, device, threads, evaluation, record, modules_from.",
        "study.yaml:5: stream.data.cuont: unknown key. Did you mean 'count'? toy_parts:Numbers takes: count, spread.",
        "study.yaml:7: stream.hours.steps: got 'many', expected a whole number.",
        "study.yaml:9: agent.name: 'toy_parts:ToyAgnt' is not there: toy_parts has no 'ToyAgnt'. "
        "Did you mean 'ToyAgent'?",
        "study.yaml:11: evaluation.within: got true, expected a whole number.",
        "command line: record.wandb: got 'offlin', expected one of auto, online, offline, disabled.",
    ]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("agent.lr=true", "agent.lr: got true, expected a number."),
        ("agent.verbose=1.5", "agent.verbose: got 1.5, expected true or false."),
        ("agent.title=3", "agent.title: got 3, expected text."),
        ("agent.widths=[4, 4.5]", "agent.widths.1: got 4.5, expected a list of whole numbers throughout."),
        ("agent.widths=4", "agent.widths: got 4, expected a list of whole numbers."),
        ("agent.mode=fst", "agent.mode: got 'fst', expected one of slow, fast."),
        ("threads=two", "threads: got 'two', expected a whole number or null."),
        ("threads=0", "threads: got 0, expected at least 1, or null to leave it to torch."),
        ("seed=-1", "seed: got -1, expected a whole number from 0 on."),
        ("stream.hours=7", "stream.hours: got 7, expected a section with settings of Hours."),
        ("stream.hours.order=3", "stream.hours.order: got 3, expected text or a list of text or null."),
        ("agent=null", "agent: got null, expected a section with the name of an Agent and its settings."),
        ("agent={lr: 1}", "agent: 'name' is missing: it must say which Agent to use. There are: "),
        ("agent.name=[a]", "agent.name: got ['a'], expected the name of an Agent, or module:Class."),
        ("agent.gadget=knob", "agent.gadget.name: got 'knob', expected module:Class"),
        ("agent=toy_parts:Untyped", "agent.name: the parameter 'size' of Untyped has no annotation; add one."),
        ("agent=toy_parts:NOT_CALLABLE", "agent.name: 'toy_parts:NOT_CALLABLE' is 3, expected a class or a function"),
        ("agent=no_such_module:X", "agent.name: 'no_such_module:X' cannot be imported: ModuleNotFoundError"),
        ("agent=no such:X", "agent.name: got 'no such:X', expected module:Class"),
        ("agent.lr.x=3", "agent.lr.x: agent.lr is a single value, so it has no 'x' inside."),
        ("agent.name=toy_parts:needs_nothing", "agent.lr: unknown key. toy_parts:needs_nothing takes: no settings. "
         "To replace the whole section instead of its name alone: agent=NAME."),
        ("agent", "got 'agent', expected key.path=value, such as agent.optimizer.lr=1e-2 or seed=3."),
        ("a..b=1", "got 'a..b=1', expected key.path=value"),
        ("agent={a", "agent: this is not YAML: "),
        ("agent=!!python/name:os.system", "agent: the tag 'tag:yaml.org,2002:python/name:os.system'"),
    ],
)  # fmt: skip
def test_what_the_command_line_gets_wrong(load: Load, override: str, told: str) -> None:
    text = MINIMAL.replace("agent: toy_parts:ToyAgent", "agent: {name: toy_parts:ToyAgent, lr: 1}")
    found = problems(load, text, override)
    assert len(found) == 1
    where, _, rest = found[0].partition(": ")
    assert where == ("study.yaml:4" if "needs_nothing" in override else "command line")
    assert rest.startswith(told)


def test_a_name_that_no_entry_point_has(load: Load) -> None:
    (told,) = problems(load, MINIMAL, "agent.detector=cusm")
    assert told.startswith(
        "command line: agent.detector.name: got 'cusm', which is not among lifelong.detectors. "
        "Did you mean 'cusum'? There are: adwin, bocpd, "
    )


def test_what_is_missing_is_named_with_what_it_must_be(load: Load) -> None:
    told = problems(load, "stream: {name: toy_parts:toy_stream}\n")
    assert told == [
        "study.yaml:1: stream: 'data' is missing: it must be a section with the name of a DataSource and its settings.",
        "study.yaml:1: 'agent' is missing: it must be a section with the name of an Agent and its settings.",
    ]


def test_list_items_are_addressed_by_number(load: Load) -> None:
    text = """\
    stream:
      name: toy_parts:blend
      streams:
        - name: toy_parts:toy_stream
          data: toy_parts:Numbers
        - name: toy_parts:toy_stream
          data: {name: toy_parts:Numbers, count: x}
    agent: toy_parts:needs_nothing
    """
    assert load(text, "stream.streams.1.data.count=3").as_dict()["stream"]["streams"][1]["data"]["count"] == 3
    assert problems(load, text) == ["study.yaml:7: stream.streams.1.data.count: got 'x', expected a whole number."]
    assert problems(load, text, "stream.streams.2.seed=3", "stream.streams.1.data.count=2") == [
        "command line: stream.streams.2: there are items 0 to 1 here; '2' is none of them."
    ]


def test_constructors_complaints_stand_at_their_sections(load: Load) -> None:
    text = """\
    stream:
      name: toy_parts:toy_stream
      data:
        {name: toy_parts:Numbers, count: 0}
      hours: {steps: 0}
    agent:
      name: toy_parts:ToyAgent
      lr: -1
    record: {flush_every: 0}
    """
    assert problems(load, text, build=True) == [
        "study.yaml:3: stream.data: toy_parts:Numbers: count must be at least 1, got 0.",
        "study.yaml:5: stream.hours: Hours: steps must be at least 1, got 0.",
        "study.yaml:9: record: RecordSettings: flush_every must be at least 1, got 0.",
        "study.yaml:6: agent: toy_parts:ToyAgent: lr must be positive, got -1.0.",
    ]


def test_a_component_of_the_wrong_kind_is_told_by_what_it_lacks(load: Load) -> None:
    (told,) = problems(load, MINIMAL, "agent=toy_parts:NotALearner", build=True)
    assert told == (
        "command line: agent.name: toy_parts:NotALearner made a NotALearner, expected an Agent: "
        "it has no size, state_dict, load_state_dict."
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "study.yaml: the file is empty; it needs at least the sections `stream` and `agent`."),
        ("- 1\n", "study.yaml:1: got [1], expected a mapping with the sections `stream` and `agent`."),
        ("seed: 1\nseed: 2\n", "study.yaml:1: the key 'seed' is given twice, on lines 1 and 2: keep one."),
        ("stream:permuted\n", "the sections `stream` and `agent`. Is a space missing behind a colon?"),
        ("seed: 1\nagent:flagship\nstream: x\n", "could not find expected ':'. Is a space missing behind a colon?"),
        ("seed: 1\nstream: [\n", "study.yaml:3: this is not YAML: "),
        ("a: 1\n\tb: 2\n", "study.yaml:2: this is not YAML: "),
        ("a: &a [*a]\n", "more than 100,000 values or 50 levels"),
        ("? [a]\n: 1\n", "study.yaml:1: a key on line 1 is a list or a mapping"),
        ("a: 1\n---\nb: 2\n", "study.yaml:2: this is not YAML: but found another document."),
        ("a: \x00\n", "study.yaml: this is not YAML: unacceptable character"),
        ("[" * 5000, "study.yaml: more than 50 levels: nothing here is nested so deeply."),
    ],
)
def test_files_that_hold_no_configuration(load: Load, text: str, told: str) -> None:
    found = problems(load, text)
    assert told in found[0]
    assert len(found) == 1


def test_a_few_aliases_cannot_fill_the_memory(load: Load) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (told,) = problems(load, "\n".join(lines))
    assert "do aliases refer to themselves?" in told


def test_a_missing_file_is_told_with_its_neighbours(load: Load) -> None:
    from lifelong.config import load_config

    load()
    with pytest.raises(ConfigError, match=r"stduy.yaml: there is no such file. Did you mean 'study.yaml'\?"):
        load_config("stduy.yaml")


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "cuda:x"])
def test_a_device_that_is_not_there(load: Load, device: str) -> None:
    (told,) = problems(load, MINIMAL, f"device={device}")
    assert told.startswith(f"command line: device: got {device!r}, ")
    assert "expected auto, cpu, cuda or cuda:N" in told or "Use auto, or cpu." in told
