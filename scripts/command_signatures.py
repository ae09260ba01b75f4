"""
From the arguments of a command to the signature of a method, and to the lines
that build the command.
"""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from attrs import define, evolve, field, frozen

from scripts.command_arguments import Argument, flat

POSITIONAL, VARIADIC, KEYWORD = range(3)
TYPES = {
    "key": "Key",
    "string": "Value",
    "pattern": "Key",
    "integer": "int",
    "unix-time": "int",
    "double": "float",
    "operation": "Sequence[Value]",
}
# "(5" and "-inf" are scores, too.
SCORES = frozenset({"min", "max"})
# Choices that are flags: C{nx=True}.
CONDITIONS = frozenset(
    {"condition", "comparison", "key-condition", "fields-condition", "sortby"}
)
# Parameters that need not be given, though the server has no default for them.
DEFAULTS = {"xadd": {"id": '"*"'}}


@frozen
class Parameter:
    """
    A parameter of a method.

    @ivar kind: C{POSITIONAL}, C{VARIADIC} or C{KEYWORD}.
    @ivar default: C{None} if it must be given.
    @ivar text: for the docstring, or empty.
    """

    name: str
    annotation: str
    kind: int
    default: str | None = None
    text: str = ""


@define
class Body:
    """
    The lines of a method.

    @ivar head: what the arguments are at first.
    @ivar lines: what is added to them then.
    """

    head: list[str]
    lines: list[str] = field(factory=list)

    def add(self, *values: str) -> None:
        """Add values to the arguments."""
        if self.lines:
            self.lines.append(f"words += {_tuple(values)}")
        else:
            self.head += values

    def branch(self, condition: str, body: Body) -> None:
        """Add what another body does, under a condition."""
        self.lines.append(f"{condition}:")
        self.lines += [f"    {line}" for line in body.text()]

    def text(self) -> list[str]:
        """All lines, the head among them."""
        first = [f"words += {_tuple(self.head)}"] if self.head else []
        return first + self.lines


def _tuple(values: Sequence[str]) -> str:
    return f"({', '.join(values)}{',' if len(values) == 1 else ''})"


@define
class Signature:
    """
    What a method takes and does.

    @ivar parameters: in the order of the command.
    """

    body: Body
    parameters: list[Parameter] = field(factory=list)
    # Two lists of values cannot both be *args.
    _lists: bool = False

    @classmethod
    def of(cls, name: str, arguments: Sequence[Argument]) -> Signature:
        """Make that of a command, C{"CONTAINER|PART"}."""
        many = [each for each in flat(arguments) if each.multiple and not each.token]
        words = [repr(word) for word in name.upper().split("|")]
        signature = cls(Body(words), lists=len(many) > 1)
        for argument in arguments:
            signature._add(argument, argument.optional)
        defaults = DEFAULTS.get(name, {})
        signature.parameters = [
            evolve(each, default=defaults.get(each.name, each.default))
            for each in signature.parameters
        ]
        return signature

    def ordered(self) -> list[Parameter]:
        """The parameters in the order that Python asks for."""

        def place(each: Parameter) -> tuple[int, bool]:
            return each.kind, each.kind == POSITIONAL and each.default is not None

        return sorted(self.parameters, key=place)

    # -- one argument -------------------------------------------------------

    def _add(self, argument: Argument, optional: bool) -> None:
        if argument.type in ("streams", "swapped"):
            self._add_special(argument)
        elif argument.multiple:
            self._add_many(argument, optional)
        elif argument.flag:
            self._add_flag(argument, optional)
        elif argument.leaf or argument.open_choice or _is_word(argument, optional):
            self._add_value(argument, optional)
        elif argument.type == "oneof":
            self._add_oneof(argument)
        elif argument.tuple and optional:
            self._add_tuple(argument)
        else:
            self._add_block(argument, optional)

    def _add_flag(self, argument: Argument, optional: bool) -> None:
        words = [repr(word) for word in (argument.token or "").split()]
        if optional:
            name = self._take(argument, "bool", KEYWORD, "False")
            self.body.branch(f"if {name}", Body(words))
        else:
            self.body.add(*words)

    def _add_value(self, argument: Argument, optional: bool) -> None:
        words = [] if argument.token is None else [repr(argument.token)]
        type_ = annotation(argument)
        behind = KEYWORD if self._variadic else POSITIONAL
        if not optional:
            self.body.add(*words, self._take(argument, type_, behind, None))
            return
        kind = KEYWORD if words or argument.choice else behind
        name = self._take(argument, f"{type_} | None", kind, "None")
        self.body.branch(f"if {name} is not None", Body([*words, name]))

    def _add_oneof(self, argument: Argument) -> None:
        for part in argument.parts:
            before = len(self.body.lines)
            self._add(part, optional=True)
            if argument.token is not None:
                # Behind the "if" that the part begins with.
                token = f"    words += ({argument.token!r},)"
                self.body.lines.insert(before + 1, token)

    def _add_tuple(self, argument: Argument) -> None:
        token = argument.token or argument.parts[0].token
        types = ", ".join(annotation(part) for part in argument.parts)
        named = evolve(argument, token=token)
        name = self._take(named, f"tuple[{types}] | None", KEYWORD, "None")
        self.body.branch(f"if {name} is not None", Body([repr(token), f"*{name}"]))

    def _add_block(self, argument: Argument, optional: bool) -> None:
        lead = _lead(argument) if optional else None
        if optional and len(argument.parts) == 1 and argument.token is None:
            self._add(argument.parts[0], optional=True)
        elif lead is None:
            if argument.token is not None:
                self.body.add(repr(argument.token))
            for part in argument.parts:
                self._add(part, part.optional)
        else:
            self._add_led(argument, lead)

    def _add_led(self, block: Argument, lead: Argument) -> None:
        words = [] if block.token is None else [repr(block.token)]
        inner = Signature(Body(words))
        for part in block.parts:
            inner._add(part, part.optional)
        if lead.flag:
            name = condition = self._take(lead, "bool", KEYWORD, "False")
        else:
            name = parameter_name(lead)
            condition = f"{name} is not None"
        tokens = [part.token for part in block.parts if not part.flag]
        named = block.token is not None or any(tokens)
        kind = KEYWORD if named or self._variadic else POSITIONAL
        for each in inner.parameters:
            if each.default is None:
                type_ = f"{each.annotation} | None"
                each = evolve(each, annotation=type_, kind=kind, default="None")
            self._keep(each)
        self.body.branch(f"if {condition}", inner.body)

    # -- many values --------------------------------------------------------

    def _add_many(self, argument: Argument, optional: bool) -> None:
        if argument.token is not None:
            self._add_repeated(argument)
        elif argument.pairs:
            self._add_pairs(argument)
        else:
            self._add_list(argument, optional)

    def _add_list(self, argument: Argument, optional: bool) -> None:
        name, type_ = _plural(argument), annotation(argument)
        if self._lists or self._variadic:
            default = "()" if optional else None
            each = Parameter(name, f"Iterable[{type_}]", POSITIONAL, default)
        else:
            each = Parameter(name, type_, VARIADIC)
        self._keep(each)
        if argument.counted and each.kind != VARIADIC:
            self.body.lines.append(f"{name} = tuple({name})")
        if argument.counted:
            self.body.add(f"len({name})")
        nested = argument.parts or argument.type == "operation"
        self.body.add(f"*chain.from_iterable({name})" if nested else f"*{name}")

    def _add_repeated(self, argument: Argument) -> None:
        type_ = annotation(argument)
        name = self._take(argument, f"Iterable[{type_}] | None", KEYWORD, "None")
        token = repr(argument.token)
        values = f"*chain.from_iterable({name})" if argument.parts else f"*{name}"
        body = Body([token, values])
        if argument.multiple_token:
            body = Body([])
            each = "*each" if argument.parts else "each"
            body.branch(f"for each in {name}", Body([token, each]))
        elif argument.counted:
            body = Body([token, f"len({name})", values])
            body.lines, body.head = [*body.text()], []
            body.lines.insert(0, f"{name} = tuple({name})")
        self.body.branch(f"if {name} is not None", body)

    def _add_pairs(self, argument: Argument) -> None:
        first, second = (annotation(part) for part in argument.parts)
        name = "fields" if argument.parts[0].name == "field" else "pairs"
        self._keep(Parameter(name, f"Pairs[{first}, {second}]", POSITIONAL))
        if argument.counted:
            self.body.lines.append(f"values = flat({name})")
            self.body.add("len(values) // 2", "*values")
        else:
            self.body.add(f"*flat({name})")

    def _add_special(self, argument: Argument) -> None:
        if argument.type == "streams":
            self._keep(Parameter("streams", "Mapping[Any, Value]", POSITIONAL))
            self.body.add("'STREAMS'", "*streams", "*streams.values()")
        else:
            self._keep(Parameter("members", "Pairs[Value, float]", POSITIONAL))
            self.body.add("*swapped(members)")

    # -- parameters ---------------------------------------------------------

    def _take(
        self, argument: Argument, type_: str, kind: int, default: str | None
    ) -> str:
        name = parameter_name(argument)
        self._keep(Parameter(name, type_, kind, default, _told(argument)))
        return name

    def _keep(self, parameter: Parameter) -> None:
        if parameter.name in {each.name for each in self.parameters}:
            raise ValueError(f"there are two parameters {parameter.name}")
        self.parameters.append(parameter)

    @property
    def _variadic(self) -> bool:
        return any(each.kind == VARIADIC for each in self.parameters)


def annotation(argument: Argument) -> str:
    """The type of one value."""
    if argument.open_choice:
        (value,) = (part for part in argument.parts if part.leaf)
        words = "" if value.type == "string" else f" | {_words(argument)}"
        return annotation(value) + words
    if argument.choice:
        return _words(argument)
    if argument.parts:
        return f"tuple[{', '.join(annotation(part) for part in argument.parts)}]"
    if argument.type == "double" and argument.name in SCORES:
        return "float | Key"
    return TYPES[argument.type]


def _words(argument: Argument) -> str:
    words = [repr(part.token) for part in argument.parts if part.flag]
    return f"Literal[{', '.join(words)}]"


def parameter_name(argument: Argument) -> str:
    """What an argument is called: by the word that is sent, if there is one."""
    name = argument.name
    if argument.open_choice:
        (name,) = (part.name for part in argument.parts if part.leaf)
    if argument.token and not argument.choice:
        name = argument.token
    name = name.lower().replace("-", "_").replace(" ", "_").replace(":", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def _plural(argument: Argument) -> str:
    name = parameter_name(argument)
    return name if name.endswith("s") else f"{name}s"


def _is_word(argument: Argument, optional: bool) -> bool:
    return argument.choice and not (optional and argument.name in CONDITIONS)


def _lead(block: Argument) -> Argument | None:
    return next((part for part in block.parts if not part.optional), None)


def _told(argument: Argument) -> str:
    sent = argument.token
    if sent is None:
        return ""
    since = f", since {argument.since}" if argument.since else ""
    return f"sends C{{{sent}}}{since}"
