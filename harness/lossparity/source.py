"""How a call is written in a script that stands alone: one line of the framework's own, or the adapter's source.

Runs in the child, where the functions are. What one public call does is written as that call; what an adapter composes
is shown by its real source, every definition that it leads to included, so that the script runs what was judged.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Any, Callable, Iterator, Mapping, Optional

from lossparity.call import chosen
from lossparity.framework import NATIVE, TARGET, Entry, Framework, Implementation, Unsupported
from lossparity.model import Request
from lossparity.spec import OPERATIONS
from lossparity.target import Target
from lossparity.target.scripted import scripted

__all__ = ["gathered", "public_call", "written"]

_PLAIN = (bool, int, float, str, type(None))


def written(
    framework: Framework, implementation: Implementation, request: Request, target: Optional[Target] = None
) -> dict[str, Any]:
    """Return what a script of the call is made of, as JSON: `phrases`, `imports`, `code`, and the call itself.

    `target` is the user's function, where the implementation is one.

    `call` is the expression, `function` what is called in it, `arguments` what follows the first argument, with the
    upstream gradient among them, each with a comma before it; `api` and `origin` are the entry's. Raises Unsupported
    where the adapter has no phrases or does not do the call, and where a source cannot stand alone.
    """
    phrases = getattr(framework, "phrases", None)
    if phrases is None:
        raise Unsupported(f"the adapter {type(framework).__name__} does not say how its calls are written")
    entry = chosen(implementation, request)
    if entry is None:
        raise Unsupported(f"{request.operation} is not offered with these arguments")
    operation = OPERATIONS[request.operation]
    rest = ["target"] if operation.target else []
    stated = dict(request.keywords)
    imports: list[str] = []
    code: list[str] = []
    line: Optional[str] = None
    if target is not None and entry.origin == TARGET:
        imports, code, function, stated = scripted(target, stated)
    else:
        line = public_call(framework, entry, request)
        function = entry.function.__name__
        if line is None:
            imports, code = gathered(entry.function, type(framework).__module__.partition(".")[0])
    keywords = [f"{name}={value!r}" for name, value in stated.items() if name != "weight"]
    keywords += ["weight=weight"] if "weight" in request.arrays else []
    return {
        "phrases": asdict(phrases),
        "imports": imports,
        "code": code,
        "call": line or f"{function}({', '.join([operation.first, *rest, *keywords])})",
        "function": function,
        "arguments": "".join(f", {text}" for text in (*rest, "upstream", *keywords)),
        "api": entry.api,
        "origin": entry.origin,
    }


def public_call(framework: Framework, entry: Entry, request: Request) -> Optional[str]:
    """Write an entry as the one public call that it makes; none where its function is not of that form.

    The function is the public one itself, or, in a native entry, returns a call of it: what its arguments come to for
    this request (an axis, a number of classes) is then worked out and written as a number.
    """
    public = _resolved(entry.api, vars(sys.modules[type(framework).__module__]))
    operation, arrays = OPERATIONS[request.operation], request.arrays
    tensors = {name: framework.to_device(array) for name, array in arrays.items() if name != "upstream"}
    given: dict[str, Any] = {**request.keywords, **({"weight": tensors["weight"]} if "weight" in tensors else {})}
    positional = [operation.first, *(["target"] if operation.target else [])]
    if public is None:
        return None
    if public is entry.function:
        keywords = [f"{name}={'weight' if name == 'weight' else repr(value)}" for name, value in given.items()]
        return f"{entry.api}({', '.join([*positional, *keywords])})"
    returned = _returned(entry.function) if entry.origin == NATIVE else None
    if returned is None:
        return None
    scope = entry.function.__globals__
    bound = inspect.signature(entry.function).bind(*(tensors[name] for name in positional), **given)
    bound.apply_defaults()
    values = dict(bound.arguments)
    if _evaluated(returned.func, scope, values) is not public:
        return None
    names = {name: positional[n] for n, name in enumerate(values) if n < len(positional)}
    names.update({name: "weight" for name in values if name == "weight"})
    rewrite = _Plainly(scope, values, names)
    parts = [ast.unparse(rewrite.visit(part)) for part in returned.args]
    parts += [f"{part.arg}={ast.unparse(rewrite.visit(part.value))}" for part in returned.keywords]
    return f"{entry.api}({', '.join(parts)})"


def _resolved(path: str, scope: Mapping[str, Any]) -> Any:
    first, *rest = path.split(".")
    found = scope.get(first)
    for name in rest:
        found = getattr(found, name, None)
    return found


def _returned(function: Callable[..., Any]) -> Optional[ast.Call]:
    """Return the call that a function consists of, but for its docstring and arguments that it drops."""
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    if not isinstance(node, ast.FunctionDef) or node.decorator_list:
        return None
    body = [
        statement
        for statement in node.body
        if not isinstance(statement, ast.Delete)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    ]
    last = body[0] if len(body) == 1 else None
    return last.value if isinstance(last, ast.Return) and isinstance(last.value, ast.Call) else None


def _evaluated(node: ast.expr, scope: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    expression = ast.fix_missing_locations(ast.Expression(node))
    return eval(compile(expression, "<adapter>", "eval"), dict(scope), dict(values))


class _Plainly(ast.NodeTransformer):
    """Writes an argument with the script's names, and what is a plain number or word as that."""

    def __init__(self, scope: Mapping[str, Any], values: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self._scope, self._values, self._names = scope, values, names

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.expr):
            if isinstance(node, ast.Name) and node.id in self._names:
                return ast.Name(self._names[node.id])
            value = _evaluated(node, self._scope, self._values)
            if isinstance(value, _PLAIN):
                return ast.Constant(value)
        return self.generic_visit(node)


def gathered(function: Callable[..., Any], package: str) -> tuple[list[str], list[str]]:
    """Return the imports and the source of a function and of everything of its package that it leads to.

    `package` is the adapter's top-level package; what comes from it or from lossparity is copied, what comes from
    elsewhere imported. Raises Unsupported for what is not defined at the top of a module.
    """
    gathering = _Gathering((package, "lossparity"))
    gathering.visit(function.__module__, function.__qualname__)
    return list(dict.fromkeys(gathering.imports)), list(gathering.definitions())


@dataclass
class _Gathering:
    """Definitions found so far: by module, in the order in which modules depend on each other."""

    packages: tuple[str, ...]
    imports: list[str] = field(default_factory=list)
    found: dict[str, dict[int, str]] = field(default_factory=dict)
    _seen: dict[str, str] = field(default_factory=dict)
    _modules: dict[str, _Module] = field(default_factory=dict)

    def visit(self, module_name: str, name: str) -> None:
        if module_name not in self._modules:
            self._modules[module_name] = _Module.of(sys.modules[module_name])
        module = self._modules[module_name]
        node = module.bindings.get(name)
        if node is None or self._seen.get(name) == module_name:
            if node is None and not self._seen:
                raise Unsupported(f"{module_name}.{name} is not defined at the top of its module")
            return
        if isinstance(node, ast.Import):
            self.imports += [f"import {_aliased(a)}" for a in node.names if _bound(a) == name]
            return
        if isinstance(node, ast.ImportFrom):
            self._imported(node, name)
            return
        if name in self._seen:
            raise Unsupported(f"{name} stands for two things: {self._seen[name]}.{name}, {module_name}.{name}")
        self._seen[name] = module_name
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                self.visit(module_name, part.id)
        start, text = module.segment(node)
        self.found.setdefault(module_name, {})[start] = text

    def _imported(self, node: ast.ImportFrom, name: str) -> None:
        (alias,) = [a for a in node.names if _bound(a) == name]
        source = node.module or ""
        if node.level == 0 and source.partition(".")[0] not in self.packages:
            self.imports.append(f"from {source} import {_aliased(alias)}")
        elif node.level or alias.asname:
            raise Unsupported(f"{name} is imported from the adapter's package in a way that a script cannot repeat")
        else:
            self.visit(source, name)

    def definitions(self) -> Iterator[str]:
        # A module's first definition is complete only after those it depends on in others.
        for parts in self.found.values():
            yield from (parts[start] for start in sorted(parts))


@dataclass
class _Module:
    """A module's source, and the statement at its top that binds each name."""

    lines: list[str]
    bindings: dict[str, ast.stmt]

    @classmethod
    def of(cls, module: ModuleType) -> _Module:
        source = inspect.getsource(module)
        bindings: dict[str, ast.stmt] = {}
        for node in ast.parse(source).body:
            for name in _binds(node):
                bindings.setdefault(name, node)
        return cls(source.splitlines(), bindings)

    def segment(self, node: ast.stmt) -> tuple[int, str]:
        """Return a statement's first line, decorators and the comment above it included, and its text."""
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        while self.lines[start - 2].startswith("#"):
            start -= 1
        return start, "\n".join(self.lines[start - 1 : node.end_lineno])


def _binds(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [_bound(alias) for alias in node.names]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Try, ast.If)):
        return [name for part in node.body for name in _binds(part)]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [part.id for target in targets if target for part in ast.walk(target) if isinstance(part, ast.Name)]


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _aliased(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name
