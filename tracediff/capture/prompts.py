"""Trainable prompts: what is declared, and what reading one does."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any, TypeAlias

from tracediff.capture import source
from tracediff.capture.context import current_text
from tracediff.capture.live import note_lost_context
from tracediff.capture.names import first_paragraph, is_in_class, module_name
from tracediff.capture.recorder import begin, is_idle
from tracediff.capture.sites import Binder
from tracediff.capture.template import Template, Unreadable, read_template
from tracediff.errors import ParameterError
from tracediff.parameters import Parameter, TrainedText, render, slots

Options: TypeAlias = Mapping[str, Any]
"""Fields of Parameter that the user gave: role, instruction, trainable, frozen, max_chars."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Declared:
    """One declaration of a parameter. It lives as long as the function or prompt that declares it."""

    parameter: Parameter
    module: str
    qualname: str
    code: object = None
    """Code object that ran the declaration: the same one again (a loop, a factory) declares another prompt."""
    is_known: bool = True
    """False for a function whose text is known from its first call only, until then."""

    def with_text(self, text: str) -> Parameter:
        """Return the parameter as one call uses it."""
        return self.parameter if text == self.parameter.text and self.is_known else replace(self.parameter, text=text)


_declared: weakref.WeakValueDictionary[str, Declared] = weakref.WeakValueDictionary()
_unknown: weakref.WeakSet[Declared] = weakref.WeakSet()
"""Functions whose text was not known when they were declared."""


def declared_parameters() -> tuple[Parameter, ...]:
    """Return the parameters that the loaded code declares and whose text is known, in order of declaration."""
    return tuple(declared.parameter for declared in list(_declared.values()) if declared.is_known)


def declare(new: Declared) -> Declared:
    """Enter a declaration and return it. Raises ParameterError when another one of that name has another text.

    The same function decorated again (a reloaded module, a notebook cell run again) replaces the earlier one.
    """
    name = new.parameter.name
    _refuse_other(new, _declared.get(name))
    if not new.is_known:
        _unknown.add(new)
    _declared.pop(name, None)
    _declared[name] = new
    return new


def _refuse_other(new: Declared, old: Declared | None) -> None:
    """Raise ParameterError when ``old`` is another declaration of that name with another text, both texts known."""
    if old is None or old is new or not (old.is_known and new.is_known) or old.parameter.text == new.parameter.text:
        return
    if not _replaces(new, old):
        raise ParameterError(
            f"two parameters are named {new.parameter.name!r} and their texts differ:\n"
            f"  {_place(old.parameter)}: {_short(old.parameter.text)}\n"
            f"  {_place(new.parameter)}: {_short(new.parameter.text)}\n"
            f"Give one of them another name: name=..."
        )


def _replaces(new: Declared, old: Declared) -> bool:
    """True when ``new`` is the same declaration, run again or edited since."""
    if new.code is old.code and new.code is not None:
        return False  # a reloaded module and a cell run again are compiled anew
    if new.module != old.module or (new.qualname != old.qualname and new.parameter.file == old.parameter.file):
        return False
    if new.parameter.file != old.parameter.file:
        return True  # another run of a notebook cell
    is_elsewhere = new.parameter.line != old.parameter.line
    function_name = old.qualname.rpartition(".")[2] if is_elsewhere else ""
    text = old.parameter.text if not old.qualname else None
    return not source.stands(old.parameter.file, old.parameter.line, function_name, text)


def _place(parameter: Parameter) -> str:
    return f"{parameter.file}:{parameter.line}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


class Prompt:
    """A trainable text in value form: calling it with its variables returns the current text.

    >>> system = Prompt(Parameter("system", "You are {who}.", ("who",)))
    >>> system(who="a poet")
    'You are a poet.'
    """

    __slots__ = ("__weakref__", "_declared")

    def __init__(self, parameter: Parameter, module: str = "", code: object = None) -> None:
        """Make a prompt of ``parameter``; ``trainable_prompt`` also declares it."""
        self._declared = Declared(parameter, module, "", code)

    @property
    def parameter(self) -> Parameter:
        """The parameter as the code declares it."""
        return self._declared.parameter

    @property
    def text(self) -> str:
        """The template that a call would use now: the active candidate's, else the code's. Recorded as a call is."""
        return self._read({})

    def __call__(self, **values: object) -> str:
        """Return the current text with each variable replaced by its value. Raises TypeError on other variables."""
        self._check(values)
        return self._read(values)

    def _read(self, values: Mapping[str, object]) -> str:
        declared = self._declared
        parameter = declared.parameter
        note_lost_context(parameter.name)
        replaced = _replacement(declared)
        text = parameter.text if replaced is None else replaced
        call = None
        if not is_idle():
            call = begin(
                parameter.name, "prompt", values, description=parameter.role, parameter=declared.with_text(text)
            )
        try:
            rendered = render(text, {name: f"{values[name]}" for name in parameter.variables}) if values else text
        except BaseException as error:
            if call is not None:
                call.end(error=error)
            raise
        if call is not None:
            call.end(rendered)
        return rendered

    def _check(self, values: Mapping[str, object]) -> None:
        parameter = self._declared.parameter
        missing = [name for name in parameter.variables if name not in values]
        unknown = [name for name in values if name not in parameter.variables]
        if missing or unknown:
            problem = f"lacks {', '.join(missing)}" if missing else f"has no variable {', '.join(unknown)}"
            expected = ", ".join(f"{name}=..." for name in parameter.variables)
            raise TypeError(f"prompt {parameter.name!r} {problem}; call it as ({expected})")

    def __repr__(self) -> str:
        return f"<Prompt {self._declared.parameter.name!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Prompt, (self._declared.parameter, self._declared.module)


def value_form(text: str, name: str | None, options: Options, frame: Any) -> Prompt:
    """Return the declared prompt of a text. ``frame`` is the user's, where the text stands."""
    if not name:
        raise ParameterError(
            f"{frame.f_code.co_filename}:{frame.f_lineno}: a prompt in value form needs a name, for example "
            f'td.trainable_prompt({_short(text)}, name="system")'
        )
    parameter = Parameter(
        name, text, slots(text), file=frame.f_code.co_filename, line=frame.f_lineno, **_checked(name, text, options)
    )
    prompt = Prompt(parameter, module_name(frame.f_globals), frame.f_code)
    declare(prompt._declared)
    return prompt


def _checked(name: str, text: str | None, options: Options) -> Options:
    """Return ``options`` when they fit the text. Raises ParameterError."""
    frozen = options.get("frozen", ())
    if isinstance(frozen, str) or not all(isinstance(part, str) for part in frozen):
        raise ParameterError(f"frozen= of {name!r} must be a tuple of texts, for example frozen=('Answer:',)")
    if text is not None:
        lost = [part for part in frozen if part not in text]
        if lost:
            raise ParameterError(f"frozen= of {name!r} names {lost[0]!r}, which does not stand in its text")
        limit = options.get("max_chars")
        if limit is not None and len(text) > limit:
            raise ParameterError(f"max_chars={limit} of {name!r} is less than its own text of {len(text)} characters")
    return {**options, "frozen": tuple(frozen)}


def function_form(function: FunctionType, name: str, options: Options) -> Callable[..., Any]:
    """Return the decorated prompt function. Raises ParameterError when its text can't be a parameter."""
    code = function.__code__
    template = _template(function)
    options = {**options, "role": options.get("role") or first_paragraph(function)}
    parameter = Parameter(
        name,
        "" if template is None else template.text,
        () if template is None else template.variables,
        file=code.co_filename,
        line=code.co_firstlineno,
        **_checked(name, None if template is None else template.text, options),
    )
    module = module_name(function.__globals__)
    declared = declare(Declared(parameter, module, function.__qualname__, code, is_known=template is not None))
    if template is None or not template.variables:
        return _whole_text(function, declared)
    return _templated(function, declared, template)


def _template(function: FunctionType) -> Template | None:
    """Return the template; None for a function without arguments whose text is known from its first call."""
    code = function.__code__
    arguments = [*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    has_varying = bool(code.co_flags & 0x0C)  # *args, **kwargs
    is_method = arguments in (["self"], ["cls"]) and is_in_class(function)
    if code.co_flags & 0x280:  # coroutine, async generator
        raise _refusal(function, "it is async, and a prompt is a plain function", code.co_firstlineno)
    try:
        template = read_template(function)
    except Unreadable as unreadable:
        if has_varying or (arguments and not is_method) or code.co_flags & 0x20:  # a generator is no text
            raise _refusal(function, str(unreadable), unreadable.line) from None
        return None
    if not arguments and not has_varying and template.variables:
        return None
    return template


def _refusal(function: FunctionType, reason: str, line: int) -> ParameterError:
    filename = function.__code__.co_filename
    lines = source.lines_of(filename, function.__globals__)
    shown = lines[line - 1].strip() if 0 < line <= len(lines) else "(source not available)"
    code = function.__code__
    names = [name for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if name != "self"]
    template = " ".join("{" + name + "}" for name in names)
    call = ", ".join(f"{name}={name}" for name in names)
    constant = function.__name__.upper().strip("<>")
    return ParameterError(
        f"{filename}:{line}: the text of prompt {function.__qualname__!r} can't be trained: {reason}.\n"
        f"    {shown}\n"
        "Its last statement must return one literal or f-string, or a concatenation or .format of such. "
        "Compute the parts before the return, or use the value form:\n"
        f'    {constant} = td.trainable_prompt("... {template} ...", name="{function.__name__}")\n'
        f"    {constant}({call})"
    )


def _replacement(declared: Declared) -> str | None:
    """Return the active candidate's text for a parameter whose code's text is known; None for the code's own.

    A text from a prompts file replaces only the code's text that it was trained from.
    """
    text = current_text(declared.parameter.name)
    if isinstance(text, TrainedText):
        return text.for_code(declared.parameter.name, declared.parameter.text)
    return text


def _whole_text(function: FunctionType, declared: Declared) -> Callable[..., Any]:
    """Return the wrapper of a function whose whole return is the parameter."""
    bind = Binder(function)
    name = declared.parameter.name

    @functools.wraps(function)
    def prompt(*args: Any, **kwargs: Any) -> Any:
        note_lost_context(name)
        call = None if is_idle() else begin(name, "prompt", bind(args, kwargs), description=declared.parameter.role)
        if call is None:
            text = function(*args, **kwargs)
            _learn(function, declared, text)
            replaced = _replacement(declared)
            return text if replaced is None or replaced == text else replaced
        try:
            with call.active():
                text = function(*args, **kwargs)
            _learn(function, declared, text)
            replaced = _replacement(declared)
        except BaseException as error:
            call.end(error=error)
            raise
        if replaced is not None and replaced != text:
            text = replaced
        call.parameter = declared.with_text(text)
        call.end(text)
        return text

    return prompt


def _learn(function: FunctionType, declared: Declared, text: object) -> None:
    """Keep the text of a function's first call. Raises ParameterError when another prompt of its name has another."""
    if declared.is_known:
        return
    if not isinstance(text, str):
        raise _refusal(function, f"it returned {type(text).__name__}, not text", function.__code__.co_firstlineno)
    known = replace(declared, parameter=replace(declared.parameter, text=str(text)), is_known=True)
    for other in [_declared.get(declared.parameter.name), *_unknown]:
        if other is not None and other is not declared and other.parameter.name == known.parameter.name:
            _refuse_other(known, other)
    declared.parameter = known.parameter
    declared.is_known = True


def _templated(function: FunctionType, declared: Declared, template: Template) -> Callable[..., Any]:
    """Return the wrapper of a function with a template."""
    bind = Binder(function)
    name = declared.parameter.name
    evaluate = template.evaluator(function)

    def rendered(text: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if text is None or text == declared.parameter.text:
            return function(*args, **kwargs)
        return render(text, evaluate(*args, **kwargs))

    @functools.wraps(function)
    def prompt(*args: Any, **kwargs: Any) -> Any:
        note_lost_context(name)
        replaced = _replacement(declared)
        call = None
        if not is_idle():
            used = declared.parameter if replaced is None else declared.with_text(replaced)
            call = begin(name, "prompt", bind(args, kwargs), description=used.role, parameter=used)
        if call is None:
            return rendered(replaced, args, kwargs)
        try:
            with call.active():
                text = rendered(replaced, args, kwargs)
        except BaseException as error:
            call.end(error=error)
            raise
        call.end(text)
        return text

    return prompt


def calling_frame() -> Any:
    """Return the frame of the user's code that called the function that calls this."""
    return sys._getframe(2)
