"""The user function that made a call, as a patched client sees it."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from operator import call

from tracediff.capture.callsite import calling_site

HERE = __name__


def ask():
    return calling_site()


class Program:
    def ask(self):
        return calling_site()


def test_the_innermost_function_names_the_call():
    assert ask() == f"{HERE}.ask"
    assert Program().ask() == f"{HERE}.Program.ask"


def test_comprehensions_are_part_of_their_function_on_every_python():
    here = f"{HERE}.test_comprehensions_are_part_of_their_function_on_every_python"
    assert [calling_site() for _ in "x"] == [here]
    assert next(calling_site() for _ in "x") == here
    assert {calling_site(): 0 for _ in "x"} == {here: 0}


def test_a_library_that_calls_is_skipped(tmp_path, monkeypatch):
    library = tmp_path / "site-packages" / "some_client"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("def send(call):\n    return call()\n")
    monkeypatch.syspath_prepend(library.parent)
    import some_client

    assert some_client.send(calling_site) == f"{HERE}.test_a_library_that_calls_is_skipped"


def test_code_that_no_user_function_called_has_no_site():
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(calling_site).result() is None
        assert pool.submit(ask).result() == f"{HERE}.ask"


def test_the_function_that_started_an_event_loop_is_not_the_caller():
    async def nested():
        return calling_site()

    async def main():
        found = []
        # The loop calls back into C only: below it lies nothing but asyncio and whoever started the loop.
        asyncio.get_running_loop().call_soon(list.extend, found, map(call, [calling_site]))
        await asyncio.sleep(0)
        return found, await asyncio.create_task(nested())

    here = f"{HERE}.test_the_function_that_started_an_event_loop_is_not_the_caller"
    assert asyncio.run(main()) == ([None], f"{here}.<locals>.nested")


def test_a_script_is_named_as_it_would_be_imported(tmp_path):
    script = tmp_path / "app.py"
    script.write_text(
        "from tracediff.capture.callsite import calling_site\n"
        "def program():\n    return calling_site()\n"
        "print(program(), calling_site())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["app.program", "app"], done.stderr


def test_one_code_in_two_modules_has_two_names():
    code = compile("def ask():\n    return calling_site()", "shared_code.py", "exec")
    modules = [{"__name__": name, "calling_site": calling_site} for name in ("test_first", "test_second")]
    for namespace in modules:
        exec(code, namespace)
    assert [namespace["ask"]() for namespace in modules * 2] == ["test_first.ask", "test_second.ask"] * 2
