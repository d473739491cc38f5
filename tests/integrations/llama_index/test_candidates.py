"""A candidate changes exactly the named texts of requests, in its own threads and tasks; off, all is the original."""

import asyncio
import shutil
import subprocess
import threading

import pytest

import tracediff as td
from tests.integrations.llama_index.conftest import NAMES, PROGRAMS
from tests.integrations.programs import discovered, in_loop, loader, marked, runnable, strings
from tracediff import discover
from tracediff.report.patch import Change, make_patch

SLOTTED = [name for name in NAMES if name != "function_agent"]


@pytest.mark.parametrize("name", NAMES)
def test_prompts_are_found_by_their_source(load, world, name):
    module = load(name)
    td.instrument()
    _, parameters = discovered(module)
    said = b"".join(world.seen).decode()
    for role, beginning in module.PROMPTS.items():
        if beginning not in said and (name, role) == ("react", "system"):
            continue  # older releases of that agent do not send it
        (found,) = [parameter for parameter in parameters if parameter.text.startswith(beginning)]
        assert found.status == "trainable"
        assert found.file.endswith(f"programs/{name}.py")
        assert found.line > 0


@pytest.mark.parametrize("name", SLOTTED)
def test_slots_have_the_names_of_the_template(load, name):
    module = load(name)
    td.instrument()
    _, parameters = discovered(module)
    for beginning, variables in module.SLOTS.items():
        (found,) = [parameter for parameter in parameters if parameter.text.startswith(beginning)]
        assert found.variables == variables


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_named_text_changes(load, world, name):
    module = load(name)
    td.instrument()
    run, parameters = discovered(module)
    trained = [p for p in parameters if p.status == "trainable" and len(p.text.split(" ")) > 5]
    assert trained
    for parameter in trained:
        new, texts, counts = marked(parameter.text), [], []
        for candidate in ({}, {parameter.name: new}):
            world.seen = []
            with discover.discovered(parameters) as overlay, td.using(candidate), td.record() as recorded:
                for given in module.INPUTS:
                    run(given)
            counts.append(overlay.counts["replaced"])
            texts.append([*map(strings, world.seen)])
        assert counts[1] > 0 == counts[0], parameter
        assert sum("MARK" in text for body in texts[1] for text in body) == counts[1]
        bare = [[text.replace(" MARK", "") for text in body] for body in texts[1]]
        assert sorted(bare) == sorted(texts[0])
        used = [r for r in recorded.records if r.kind == "prompt" and r.name == parameter.name]
        assert len(used) >= counts[1]
        assert all(record.parameter.text == new for record in used)


def test_two_candidates_in_threads_and_tasks_never_mix(load, world):
    module = load("rag")
    td.instrument()
    _, parameters = discovered(module)
    (parameter,) = [p for p in parameters if p.text.startswith("You answer")]
    texts = {which: parameter.text.replace("You answer", f"You answer {which}") for which in ("FIRST", "SECOND")}
    world.seen = []
    start = threading.Barrier(8)

    def in_thread(number):
        which = ("FIRST", "SECOND")[number % 2]
        start.wait(10)
        for turn in range(3):
            with td.using({parameter.name: texts[which]}), td.record():
                module.program(f"the Danube mark-{which}-{number}-{turn}")

    async def in_task(number):
        which = ("FIRST", "SECOND")[number % 2]
        for turn in range(3):
            with td.using({parameter.name: texts[which]}), td.record():
                await module.aprogram(f"the Danube mark-{which}-{number}-{turn}-task")

    async def tasks():
        await asyncio.gather(*map(in_task, range(8)))

    with discover.discovered(parameters):
        threads = [threading.Thread(target=in_thread, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        in_loop(tasks())
        for thread in threads:
            thread.join()
    assert len(world.seen) == 2 * 8 * 3
    for text in map(bytes.decode, world.seen):
        assert ("mark-FIRST" in text) == ("You answer FIRST" in text)
        assert ("mark-SECOND" in text) == ("You answer SECOND" in text)


def test_a_model_of_another_vendor_gets_the_candidates_text(load):
    module = load("rag")
    td.instrument()
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.llms.callbacks import llm_completion_callback

    asked = []

    class Local(CustomLLM):
        @property
        def metadata(self):
            return LLMMetadata(model_name="local")

        @llm_completion_callback()
        def complete(self, prompt, formatted=False, **kwargs):
            asked.append(prompt)
            return CompletionResponse(text="A wooded hill.")

        @llm_completion_callback()
        def stream_complete(self, prompt, formatted=False, **kwargs):
            raise AssertionError("not asked for")

    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.response_synthesizers import get_response_synthesizer

    engine = RetrieverQueryEngine.from_args(
        module.Shelf(), response_synthesizer=get_response_synthesizer(llm=Local(), text_qa_template=module.PROMPT)
    )
    watcher = discover.Observation()
    stop = watcher.watch()
    engine.query("Where does the Danube rise?")
    stop()
    (parameter,) = [p for p in discover.find(watcher.sent).parameters if p.text.startswith("You answer")]
    assert parameter.variables == ("context_str", "query_str")
    with discover.discovered([parameter]), td.using({parameter.name: marked(parameter.text)}), td.record() as run:
        engine.query("Where does the Danube rise?")
    assert [text.count("MARK") for text in asked] == [0, 1]
    assert asked[1].replace(" MARK", "") == asked[0]
    (model,) = [record for record in run.records if record.kind == "llm"]
    assert (model.name, model.output) == ("Local.complete", {"content": "A wooded hill."})


def patched():
    """Everything that is put into LlamaIndex, as it is now."""
    import llama_index_instrumentation as instrumentation
    from llama_index.core.base.llms.base import BaseLLM
    from llama_index.core.llms import CustomLLM, MockLLM
    from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate, RichPromptTemplate

    classes = [PromptTemplate, ChatPromptTemplate, RichPromptTemplate, BaseLLM, CustomLLM, MockLLM]
    found = {(owner.__name__, name): value for owner in classes for name, value in vars(owner).items()}
    root = instrumentation.root_dispatcher
    found["handlers"] = [*map(id, root.span_handlers), *map(id, root.event_handlers)]
    return found


def test_after_uninstrument_everything_is_the_original(load):
    module = load("rag")
    before = patched()
    td.instrument()
    module.program(module.INPUTS[0])
    on = patched()
    changed = {key for key in on if key not in before or (on[key] is not before[key] and on[key] != before[key])}
    assert changed >= {"handlers", ("PromptTemplate", "format"), ("CustomLLM", "chat")}
    td.uninstrument()
    after = patched()
    assert after.keys() == before.keys()
    assert [key for key in before if after[key] is not before[key] and after[key] != before[key]] == []
    from tracediff.capture.enclosing import finders

    assert finders.all == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_patched_program_sends_what_the_candidate_sent(world, load, tmp_path, monkeypatch, name):
    pytest.importorskip("libcst")
    shutil.copy(PROGRAMS / f"{name}.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    load_copy, forget = loader(world, tmp_path, "li_copy")
    module = load_copy(name)
    module.llm.reuse_client = False
    td.instrument()
    run, parameters = discovered(module)
    trained = [
        p for p in parameters if p.status == "trainable" and any(map(p.text.startswith, module.PROMPTS.values()))
    ]
    texts = {p.name: marked(p.text) for p in trained}
    world.seen = []
    with discover.discovered(parameters), td.using(texts):
        for given in module.INPUTS:
            run(given)
    sent = sorted(world.seen)
    patch = make_patch([Change.of(p.parameter(), texts[p.name]) for p in trained], tmp_path)
    assert patch.failed == {}
    subprocess.run(["git", "apply", "-"], input=patch.text, check=True, cwd=tmp_path)
    td.uninstrument()
    patched = load_copy(name)
    world.seen = []
    for given in patched.INPUTS:
        runnable(patched)(given)
    forget()
    assert sorted(world.seen) == sent
    assert any(b"MARK" in body for body in sent)


def test_a_template_of_the_framework_is_listed_and_not_guessed(load, tmp_path):
    pytest.importorskip("libcst")
    module = load("rag")
    td.instrument()
    from llama_index.core.query_engine import RetrieverQueryEngine

    watcher = discover.Observation()
    stop = watcher.watch()
    RetrieverQueryEngine.from_args(module.Shelf(), llm=module.llm).query(module.INPUTS[0])
    stop()
    (parameter,) = [p for p in discover.find(watcher.sent).parameters if "query_str" in p.variables]
    assert (parameter.file, parameter.status) == ("", "trainable")
    patch = make_patch([Change.of(parameter.parameter(), marked(parameter.text))], tmp_path)
    assert patch.text == b""
    assert "not known" in patch.failed[parameter.name]
