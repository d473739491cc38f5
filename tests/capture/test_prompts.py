from __future__ import annotations

import asyncio
import importlib
import inspect
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

from tracediff.capture import declared_parameters, suppressed, trainable_prompt, using
from tracediff.errors import ParameterError
from tracediff.graph.runs import record
from tracediff.parameters import Parameter

SYSTEM = trainable_prompt("You are {who}.", name="test.system", role="persona")
LIMIT = 3


@trainable_prompt
def task() -> str:
    """What to do."""
    return "You count objects."


@trainable_prompt(name="test.answer", role="asks", instruction="be kind", frozen=("Question:",), max_chars=90)
def answer(question: str, docs: list[str]) -> str:
    joined = docs[:LIMIT]
    return f"Context: {chr(10).join(joined)}\nQuestion: {question}"


@trainable_prompt
def formats(a, b=3, *, c="x"):
    x = a.upper()
    return (
        f"{{{{literal}}}} {a!r:>8} {b:03d} {x}" + " tail " + "{0} {c:>{w}} {k[n]} {0}".format(a, c=c, w=4, k={"n": 5})
    )


class Agent:
    __style = "formal"

    def __init__(self, name: str) -> None:
        self.name = name

    @trainable_prompt
    def persona(self) -> str:
        return f"You are {self.name}, {self.__style}, {super().__init__.__name__}."

    @trainable_prompt
    def dynamic(self) -> str:
        return " ".join(["I am", self.name])

    @staticmethod
    @trainable_prompt
    def below(q):
        return f"below {q}"

    @trainable_prompt
    @staticmethod
    def above(q):
        return f"above {q}"

    @trainable_prompt
    @classmethod
    def of(cls, q):
        return f"{cls.__name__} {q}"


def known() -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in declared_parameters()}


def here(name: str) -> str:
    return f"{__name__}.{name}"


def test_templates_are_known_before_any_call():
    parameters = known()
    assert parameters[here("task")].text == "You count objects."
    given = parameters["test.answer"]
    assert given.text == "Context: {joined}\nQuestion: {question}"
    assert (given.role, given.instruction, given.frozen, given.max_chars) == ("asks", "be kind", ("Question:",), 90)
    assert parameters["test.system"].variables == ("who",)
    assert parameters[here("Agent.persona")].variables[0] == "name"


def test_every_form_returns_what_it_returns_undecorated():
    for function, args in [(task, ()), (answer, ("q", ["d"])), (formats, ("hey",)), (Agent("A").persona, ())]:
        plain = inspect.unwrap(function)
        bound = (function.__self__, *args) if inspect.ismethod(function) else args
        assert function(*args) == plain(*bound)
        with record():
            assert function(*args) == plain(*bound)
    assert (Agent.below("x"), Agent.above("x"), Agent.of("x")) == ("below x", "above x", "Agent x")


def test_a_candidate_text_is_rendered_with_the_functions_own_slots():
    text = known()[here("formats")].text
    variables = known()[here("formats")].variables
    assert text == "{{literal}} {a} {b} {x} tail {a_2} {c} {n} {a_2}"
    swapped = "|".join("{" + name + "}" for name in variables)
    with using({here("formats"): swapped}):
        assert formats("hey") == "   'hey'|003|HEY|hey|   x|5"
    with using({here("formats"): text + "!"}):
        assert formats("hey") == inspect.unwrap(formats)("hey") + "!"


def test_private_names_and_super_work_in_slots():
    variables = known()[here("Agent.persona")].variables
    with using({here("Agent.persona"): "-".join("{" + name + "}" for name in variables)}):
        assert Agent("Bo").persona() == "Bo-formal-__init__"


def test_other_braces_of_a_candidate_are_text():
    with using({"test.system": '{"a": {who}} {who.__class__} {other} {who!r}'}):
        assert SYSTEM(who="me") == '{"a": me} {who.__class__} {other} {who!r}'


def test_values_that_look_like_slots_are_not_rendered_again():
    with using({"test.answer": "{question} / {question}"}):
        assert answer("{docs}", []) == "{docs} / {docs}"


def test_a_method_that_reads_no_template_is_its_whole_text():
    assert Agent("Bo").dynamic() == "I am Bo"
    assert known()[here("Agent.dynamic")].text == "I am Bo"
    with using({here("Agent.dynamic"): "I am {somebody}"}):
        assert Agent("Bo").dynamic() == "I am {somebody}"


def test_closures_defaults_and_cells_follow_later_changes():
    prefix = "old"

    @trainable_prompt(name="test.closure")
    def prompt(q, n=2, *, k=3):
        return f"{prefix} {q} {n} {k}"

    prefix = "new"
    with using({"test.closure": "{k}{n}{q}{prefix}"}):
        assert prompt("x") == "32xnew"


def test_slot_names():
    @trainable_prompt(name="test.names")
    def prompt(a, b):
        return f"{{b}} {a.name} {b.name} {a.name} {a[0]} {b} {len(a) + len(b)} {1 + 1}"

    parameter = known()["test.names"]
    assert parameter.variables == ("name", "name_2", "a", "b_2", "slot_1", "slot_2")
    assert parameter.text == "{b} {name} {name_2} {name} {a} {b_2} {slot_1} {slot_2}"


def test_slots_are_evaluated_once_and_in_order():
    seen = []

    def note(x):
        seen.append(x)
        return x

    @trainable_prompt(name="test.order")
    def prompt(a):
        return f"{note(1)}{note(a)}" + "{}{}".format(note(3), note(4))

    with using({"test.order": "{slot_1}"}):
        assert prompt(2) == "1"
    assert seen == [1, 2, 3, 4]


def test_exceptions_of_slots_and_of_wrong_arguments_are_the_programs_own():
    @trainable_prompt(name="test.raises")
    def prompt(q):
        return f"{q / 0} {q}"

    for candidate in ({}, {"test.raises": "other {q}"}):
        with using(candidate), pytest.raises(ZeroDivisionError) as raised:
            prompt(1)
        last = raised.traceback[-1]
        assert str(last.path) == __file__
        with using(candidate), record(), pytest.raises(TypeError, match=r"prompt\(\) missing 1 required positional"):
            prompt()


@pytest.mark.parametrize(
    "body",
    [
        'return "a %s" % q',
        'return " ".join([q])',
        "return TEMPLATE",
        'return f"{q}" if q else "x"',
        'if q:\n        return "a"\n    return f"{q}"',
        'yield f"{q}"',
        "return TEMPLATE.format(q=q)",
        'return "a" + q',
        'x = f"{q}"',
    ],
)
def test_anything_else_raises_at_decoration_and_shows_line_and_value_form(tmp_path, monkeypatch, body):
    module = tmp_path / "shown.py"
    module.write_text(f"import tracediff as td\n\n@td.trainable_prompt\ndef bad(q):\n    {body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ParameterError) as raised:
        importlib.import_module("shown")
    message = str(raised.value)
    assert f"{module}:" in message
    assert 'td.trainable_prompt("... {q} ...", name="bad")' in message
    assert any(line.strip() in message for line in body.splitlines())
    sys.modules.pop("shown", None)


def test_async_prompts_and_other_objects_are_refused():
    async def coroutine(q):
        return f"{q}"

    with pytest.raises(ParameterError, match="plain function"):
        trainable_prompt(coroutine)
    with pytest.raises(ParameterError, match="takes a function or a text, not int"):
        trainable_prompt(3)
    with pytest.raises(ParameterError, match="needs a name"):
        trainable_prompt("text")


def test_without_source_a_function_with_arguments_is_refused_and_one_without_is_whole():
    namespace: dict = {}
    exec('def p(q):\n    return f"{q}"\ndef w():\n    return "a" + "b"', namespace)
    with pytest.raises(ParameterError, match="source can't be read"):
        trainable_prompt(name="test.exec")(namespace["p"])
    whole = trainable_prompt(name="test.whole")(namespace["w"])
    assert "test.whole" not in known()
    assert whole() == "ab"
    assert known()["test.whole"].text == "ab"


def test_one_name_with_two_texts_is_refused():
    first = trainable_prompt("one", name="test.twice")
    same = trainable_prompt("one", name="test.twice")
    with pytest.raises(ParameterError, match="two parameters are named 'test.twice'") as raised:

        @trainable_prompt(name="test.twice")
        def other():
            return "two"

    assert raised.value.args[0].count(__file__) == 2
    assert first() == same() == "one"


def test_a_notebook_cell_run_again_replaces_its_prompt():
    import linecache

    namespace = {"__name__": "__main__", "td": sys.modules["tracediff"], "kept": []}
    for number, text in enumerate(("old {q}", "new {q}"), 1):
        source = (
            f'@td.trainable_prompt\ndef cell(q):\n    return f"{text}"\nS = td.trainable_prompt("{text}", name="s")\n'
        )
        name = f"<ipython-input-{number}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), namespace)
        namespace["kept"].append((namespace["cell"], namespace["S"]))
    assert known()["__main__.cell"].text == "new {q}"
    assert known()["s"].text == "new {q}"


def test_a_reloaded_module_replaces_its_prompts_but_two_in_one_file_clash(tmp_path, monkeypatch):
    module = tmp_path / "edited.py"
    head = "import tracediff as td\n"
    prompt = '@td.trainable_prompt(name="ed")\ndef p(q):\n    return f"{text} {{q}}"\n'
    module.write_text(head + prompt.format(text="before"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loaded = importlib.import_module("edited")
    kept = loaded.p
    module.write_text(head + "\n\n" + prompt.format(text="after it"))
    importlib.invalidate_caches()
    importlib.reload(loaded)
    assert known()["ed"].text == "after it {q}"
    module.write_text(head + prompt.format(text="a") + "first = p\n" + prompt.format(text="bb"))
    with pytest.raises(ParameterError, match="two parameters are named 'ed'"):
        importlib.reload(loaded)
    assert kept("x") == "before x"
    sys.modules.pop("edited", None)


@pytest.mark.parametrize(
    "second",
    [
        'def p(q):\n    """A longer one."""\n    return f"bb {q}"\n',
        'def p(q):\n    return f"bb {q}"\n',
    ],
)
def test_two_functions_of_one_name_in_one_file_clash(tmp_path, monkeypatch, second):
    head = "import tracediff as td\nfirst = None\n"
    first = "@td.trainable_prompt\ndef p(q):\n    return f'a {q}'\nfirst = p\n"
    (tmp_path / "clashing.py").write_text(f"{head}{first}@td.trainable_prompt\n{second}")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ParameterError, match="two parameters are named 'clashing.p'") as raised:
        importlib.import_module("clashing")
    assert "clashing.py:3" in str(raised.value)
    assert "clashing.py:7" in str(raised.value)


def test_one_declaration_run_twice_with_two_texts_clashes():
    with pytest.raises(ParameterError, match="two parameters are named 'test.loop'"):
        _kept = [trainable_prompt(text, name="test.loop") for text in ("A", "B")]

    def made(text):
        return trainable_prompt(text, name="test.made")

    one, same = made("A"), made("A")
    assert one() == same() == "A"
    with pytest.raises(ParameterError, match="two parameters are named 'test.made'"):
        made("B")


def test_two_functions_known_from_their_first_call_clash_there():
    def made(text, number):
        @trainable_prompt(name="test.later")
        def whole():
            return text * number

        return whole

    one, same, other = made("a", 2), made("a", 2), made("b", 2)
    assert one() == same() == "aa"
    with pytest.raises(ParameterError, match="two parameters are named 'test.later' and their texts differ"):
        other()
    assert one() == "aa"


def test_reading_the_text_is_recorded_as_a_call_is():
    with record() as run, using({"test.system": "Be {who}."}):
        text = SYSTEM.text
    assert text == "Be {who}."
    (entry,) = run.records
    assert (entry.name, entry.kind, entry.output, entry.parameter.text) == ("test.system", "prompt", text, text)


def test_only_a_methods_self_names_no_variable():
    @trainable_prompt
    def news(cls, text):
        return f"{cls.upper()}: {text}"

    assert news("ai", "t") == "AI: t"
    assert known()[f"{__name__}.test_only_a_methods_self_names_no_variable.<locals>.news"].variables == ("cls", "text")
    with record() as run:
        news("ai", "t")
    assert run.records[0].inputs == {"cls": "ai", "text": "t"}


def test_functions_and_prompts_pickle():
    for prompt in (task, answer, SYSTEM):
        again = pickle.loads(pickle.dumps(prompt))
        assert again.__class__ is prompt.__class__
    assert pickle.loads(pickle.dumps(task)) is task
    assert pickle.loads(pickle.dumps(SYSTEM))(who="x") == "You are x."


def test_signature_and_docs_stay():
    assert str(inspect.signature(answer)) == "(question: 'str', docs: 'list[str]') -> 'str'"
    assert task.__doc__ == "What to do."
    assert task.__module__ == __name__


def test_the_value_form_says_what_it_needs():
    with pytest.raises(TypeError, match=r"lacks who; call it as \(who=...\)"):
        SYSTEM()
    with pytest.raises(TypeError, match="has no variable whom"):
        SYSTEM(who="a", whom="b")


def test_a_prompt_record_has_the_text_it_used():
    with record() as run:
        answer("q", ["d1", "d2"])
        with using({"test.answer": "Answer {question}"}):
            answer("q", ["d1"])
        SYSTEM(who="me")
    plain, replaced, value = run.records
    assert (plain.kind, plain.name) == ("prompt", "test.answer")
    assert plain.inputs == {"question": "q", "docs": ["d1", "d2"]}
    assert plain.parameter == known()["test.answer"]
    assert (replaced.parameter.text, replaced.output) == ("Answer {question}", "Answer q")
    assert replaced.parameter.variables == plain.parameter.variables
    assert (value.inputs, value.output) == ({"who": "me"}, "You are me.")


def test_suppressed_replaces_nothing_and_records_nothing():
    with record() as run, using({here("task"): "other"}), suppressed():
        assert task() == "You count objects."
    assert run.records == ()


def test_options_that_do_not_fit_the_text():
    with pytest.raises(ParameterError, match="frozen= of 'test.f' names 'absent'"):
        trainable_prompt("text", name="test.f", frozen=("absent",))
    with pytest.raises(ParameterError, match="max_chars=3"):
        trainable_prompt("text", name="test.m", max_chars=3)
    with pytest.raises(ParameterError, match="must be a tuple of texts"):
        trainable_prompt("text", name="test.s", frozen="text")


def test_sixteen_threads_with_two_candidates_never_mix():
    def work(number: int) -> list[str]:
        text = f"number {number % 2}"
        with using({here("task"): text, "test.system": text + " {who}"}):
            with ThreadPoolExecutor(2) as inner:
                return [task() for _ in range(20)] + list(inner.map(lambda _: SYSTEM(who="x"), range(20)))

    with ThreadPoolExecutor(16) as pool:
        for number, texts in enumerate(pool.map(work, range(16))):
            assert set(texts) == {f"number {number % 2}", f"number {number % 2} x"}
    assert task() == "You count objects."


def test_sixteen_tasks_with_two_candidates_never_mix():
    async def work(number: int) -> set[str]:
        seen = set()
        with using({here("task"): f"number {number % 2}"}):
            for _ in range(20):
                await asyncio.sleep(0)
                seen.add(task())
                seen.add(await asyncio.to_thread(task))
                seen.add(await asyncio.get_running_loop().run_in_executor(None, task))
        return seen

    async def all_of_them():
        return await asyncio.gather(*(work(number) for number in range(16)))

    for number, seen in enumerate(asyncio.run(all_of_them())):
        assert seen == {f"number {number % 2}"}


@pytest.mark.parametrize("command", [["app.py"], ["-m", "app"]])
def test_a_script_names_its_sites_as_its_importers_do(tmp_path, command):
    (tmp_path / "app.py").write_text(
        textwrap.dedent("""
        import tracediff as td
        from tracediff.capture import declared_parameters
        @td.trainable_prompt
        def task():
            return "text"
        print(declared_parameters()[0].name)
        """)
    )
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "app.task"
