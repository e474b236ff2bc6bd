"""Finds the checks in a module's source text, each with the change that removes it.

Nothing here quotes a check: it is found by the form of its syntax tree, so renaming or rewording it changes nothing.
The kinds of removal:

- `branch`: the condition of an `if`, `elif` or `while` is never true
- `guard`: the condition of an early `return` in a function that ends with `raise` is always true
- `clause`: one operand of `and` or `or` is left out: in the condition of a rejection only where more passes without it,
  not in the condition of a branch that rejects nothing
- `filter`: the condition of a comprehension, or of an `if` that only collects, is always true
- `choice`: a conditional expression that is returned always takes one side
- `handler`: an `except` catches nothing
- `raise`: a `raise` that is no branch's own returns None instead
- `call`: the call of a function named check, validate, require, reject … whose result is not used is left out
- `reset`: a statement that empties an attribute is left out
- `strict`: `fullmatch` matches a beginning only; `decode` replaces malformed bytes
- `keyword`: an argument of `STRICT_KEYWORDS` is left out; True becomes False and False becomes True
- `limit`: the default of a numeric field of a `…Limits` class, or the delay of a timer, is 1024 times as large
- `weakness`: a statement of `WEAKNESSES` is added, where a library or the absence of code is what is strict

Log statements and the arguments of `raise` are left as they are.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Function = ast.FunctionDef | ast.AsyncFunctionDef
    Node = ast.expr | ast.stmt | ast.keyword

STRICT_KEYWORDS = frozenset(
    {
        "access_token_only_claims",
        "claims",
        "client_claims",
        "follow_redirects",
        "header_types",
        "object_pairs_hook",
        "parse_constant",
        "parse_float",
        "roles_claim",
        "scopes_from_roles",
        "subject",
        "token_type_claims",
        "trust_env",
        "user_claim",
    }
)
"""Arguments that decide what is accepted. A test shows that each is found."""

WEAKNESSES = {
    ("mcp_idp/http_server/protocol.py", "LimitedHttpProtocol.connection_made"): (
        "self.parser.set_dangerous_leniencies(lenient_headers=True, lenient_chunked_length=True)"
    ),
    ("mcp_idp/auth/middleware.py", "AuthMiddleware.__call__"): (
        'if scope["method"] != "POST": return await self._app(scope, receive, send)'
    ),
    ("mcp_idp/auth/middleware.py", "_origin_and_authorization"): (
        'headers = [(b"authorization" if name in {b"cookie", b"proxy-authorization", b"x-forwarded-access-token"} '
        "else name, value) for name, value in headers]"
    ),
}
"""Statements by module and function; each is added in front of the function's body."""

_FACTOR = 1024
_CHECKS = re.compile(r"_*(check|validate|require|reject|ensure|verify)(_|$)")
_EMPTY = frozenset({"None", "False", "''", "b''", "()", "[]", "{}"})
_COLLECTS = frozenset({"add", "append", "extend", "update"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A check, and the change to its module's source text that removes it.

    Attributes:
        module: path of the module, from the root of the repository.
        function: qualified name of the function or class around the check; "" at module level.
        kind: one of the kinds that this module's docstring lists.
        number: counts the removals of this kind in this function, from 1.
        lines: the lines of the check. A test that runs none of them cannot notice the removal. Empty for code that runs
            when the module is imported.
        branch: the lines of the branch that the check guards. A test that runs them is the likeliest to notice.
        start: offset of the first byte that is replaced.
        end: offset behind the last byte that is replaced.
        text: the replacement.
    """

    module: str
    function: str
    kind: str
    number: int
    lines: range
    branch: range
    start: int
    end: int
    text: bytes

    @property
    def name(self) -> str:
        """A name without line numbers: it stays the same when other functions change."""
        dotted = self.module.removesuffix(".py").replace("/", ".")
        return f"{'.'.join(filter(None, (dotted, self.function)))} {self.kind} {self.number}"

    def apply(self, source: bytes) -> bytes:
        """Returns the module's source text without the check."""
        return source[: self.start] + self.text + source[self.end :]


def find_removals(module: str, source: bytes) -> list[Removal]:
    """Finds the checks of a module.

    Args:
        module: path of the module, from the root of the repository.
        source: its text in UTF-8.

    Returns:
        The removals in the order of the text.

    Raises:
        LookupError: a function that `WEAKNESSES` names is not in the module.
        SyntaxError: the text is not Python.
    """
    finder = _Finder(module, source)
    finder.visit(ast.parse(source))
    expected = {function for path, function in WEAKNESSES if path == module}
    if not expected <= finder.functions:
        raise LookupError(f"{module}: WEAKNESSES names functions that are not there: {expected - finder.functions}")
    return sorted(finder.removals, key=lambda removal: (removal.start, removal.end))


class _Finder(ast.NodeVisitor):
    """Walks the tree of one module and collects its removals."""

    def __init__(self, module: str, source: bytes) -> None:
        self.removals: list[Removal] = []
        self.functions: set[str] = set()
        self._module = module
        self._source = source
        lengths = [len(line) for line in source.splitlines(keepends=True)]
        self._line_starts = [sum(lengths[:number]) for number in range(len(lengths) + 1)]
        self._scope: list[str] = []  # names of the definitions around the node that is visited
        self._functions_around = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._statement: ast.stmt | None = None  # the innermost one around the node that is visited
        self._branch: Sequence[ast.stmt] = ()  # what the condition that is visited guards

    def _offsets(self, node: Node) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or 0, node.end_col_offset or 0
        return self._line_starts[node.lineno - 1] + node.col_offset, self._line_starts[end_line - 1] + end_column

    def _text(self, node: ast.expr) -> str:
        start, end = self._offsets(node)
        return self._source[start:end].decode()

    def _add(self, kind: str, node: Node, text: str, *, before: bool = False) -> None:
        """Records a removal: `text` replaces `node`, or stands before it."""
        function = ".".join(self._scope)
        self._counts[function, kind] += 1
        start, end = self._offsets(node)
        first = (self._statement or node).lineno
        self.removals.append(
            Removal(
                module=self._module,
                function=function,
                kind=kind,
                number=self._counts[function, kind],
                lines=range(first, (node.end_lineno or 0) + 1) if self._functions_around else range(0),
                branch=_lines(self._branch),
                start=start,
                end=start if before else end,
                text=text.encode(),
            )
        )

    def visit(self, node: ast.AST) -> None:
        """Visits a node, and keeps which statement is around it."""
        before = self._statement, self._branch
        if isinstance(node, ast.stmt):
            self._statement, self._branch = node, ()
        super().visit(node)
        self._statement, self._branch = before

    # --- definitions ---

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.append(node.name)
        self.generic_visit(node)
        self._scope.pop()

    def visit_FunctionDef(self, node: Function) -> None:
        self._scope.append(node.name)
        self._functions_around += 1
        function = ".".join(self._scope)
        self.functions.add(function)
        if (self._module, function) in WEAKNESSES:
            first = node.body[1] if ast.get_docstring(node) is not None else node.body[0]
            self._statement = first
            self._add("weakness", first, f"{WEAKNESSES[self._module, function]}\n{' ' * first.col_offset}", before=True)
        if isinstance(node.body[-1], ast.Raise):
            for statement in node.body:
                if isinstance(statement, ast.If) and _has_only_return(statement):
                    self._statement = statement
                    self._add("guard", statement.test, "True")
        self.generic_visit(node)
        self._functions_around -= 1
        self._scope.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    # --- statements ---

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self._visit_condition(node)
        for statement in (*_without_last_rejection(node.body), *node.orelse):
            self.visit(statement)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._visit_condition(node)
        for statement in node.body:
            self.visit(statement)

    def _visit_condition(self, node: ast.If | ast.While) -> None:
        self._branch = node.body
        if all(map(_only_collects, node.body)):
            self._add("filter", node.test, "True")
        elif not all(map(_only_logs, node.body)):
            self._add("branch", node.test, "False")
        if _rejects(node.body):
            self._visit_clauses(node.test, rejects=True)
        elif all(map(_only_collects, node.body)):
            self._visit_clauses(node.test, rejects=None)
        self._branch = ()

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        raises_again = isinstance(node.body[0], ast.Raise) and node.body[0].exc is None
        if node.type is not None and not raises_again:
            self._statement, self._branch = None, node.body
            self._add("handler", node.type, "()")
        for statement in node.body:
            if not isinstance(statement, ast.Raise):
                self.visit(statement)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._add("raise", node, "return None")

    def visit_Expr(self, node: ast.Expr) -> None:
        if _only_logs(node):
            return
        if _CHECKS.match(_callee(node)):
            self._add("call", node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        is_empty = isinstance(node.value, ast.List | ast.Dict | ast.Tuple) and ast.unparse(node.value) in _EMPTY
        if isinstance(target, ast.Name) and not self._scope:
            self._scope.append(target.id)
            self.generic_visit(node)
            self._scope.pop()
            return
        if is_empty and isinstance(target, ast.Attribute) and self._scope[-1] != "__init__":
            self._add("reset", node, "pass")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and self._scope and self._scope[-1].endswith("Limits"):
            self._add("limit", node.value, f"({self._text(node.value)}) * {_FACTOR}")
        self.generic_visit(node)

    # --- expressions ---

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._visit_clauses(node, rejects=None)

    def _visit_clauses(self, node: ast.expr, *, rejects: bool | None) -> None:
        """Visits a condition.

        Args:
            node: the condition, or a part of it.
            rejects: whether something is rejected because `node` is true (True) or false (False); None if unknown.
        """
        if isinstance(node, ast.BoolOp):
            if rejects is None or isinstance(node.op, ast.Or) == rejects:
                operator = " or " if isinstance(node.op, ast.Or) else " and "
                for dropped in node.values[:-1] if _is_default(node) else node.values:
                    rest = [f"({self._text(operand)})" for operand in node.values if operand is not dropped]
                    self._add("clause", node, f"({operator.join(rest)})")
            for operand in node.values:
                self._visit_clauses(operand, rejects=rejects)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self._visit_clauses(node.operand, rejects=None if rejects is None else not rejects)
        else:
            self.visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        if isinstance(self._statement, ast.Return):
            for side in (node.body, node.orelse):
                self._add("choice", node, f"({self._text(side)})")
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self._add("filter", condition, "True")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name == "fullmatch":
            self._add("strict", node.func, f"{self._text(node.func).removesuffix('fullmatch')}match")
        elif name == "decode" and [ast.unparse(argument) for argument in node.args] == ["'utf-8'"]:
            self._add("strict", node.args[0], f"{self._text(node.args[0])}, 'replace'")
        elif name == "call_later":
            self._add("limit", node.args[0], f"({self._text(node.args[0])}) * {_FACTOR}")
        for keyword in node.keywords:
            if keyword.arg in STRICT_KEYWORDS:
                is_boolean = isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)
                self._add(
                    "keyword", keyword, f"{keyword.arg}=not {self._text(keyword.value)}" if is_boolean else "**{}"
                )
        self.generic_visit(node)


def _lines(statements: Sequence[ast.stmt]) -> range:
    return range(statements[0].lineno, (statements[-1].end_lineno or 0) + 1) if statements else range(0)


def _callee(statement: ast.stmt) -> str:
    """Returns the name of the function that a statement calls without using its result; "" for any other statement."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    call = call.value if isinstance(call, ast.Await) else call
    if not isinstance(call, ast.Call):
        return ""
    return ast.unparse(call.func).rpartition(".")[2]


def _rejects(branch: list[ast.stmt]) -> bool:
    """Whether a branch ends with `raise`, with an empty return value, or with the call of a rejecting function."""
    last = branch[-1]
    if isinstance(last, ast.Return):
        return last.value is not None and ast.unparse(last.value) in _EMPTY
    return isinstance(last, ast.Raise) or _CHECKS.match(_callee(last)) is not None


def _is_default(node: ast.BoolOp) -> bool:
    """Whether the last operand of an `or` only stands in for a missing value, such as `name or ""`."""
    return isinstance(node.op, ast.Or) and ast.unparse(node.values[-1]) in _EMPTY


def _only_logs(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and ast.unparse(statement).startswith("log.")


def _only_collects(statement: ast.stmt) -> bool:
    is_yield = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield)
    return is_yield or _callee(statement) in _COLLECTS


def _without_last_rejection(branch: list[ast.stmt]) -> list[ast.stmt]:
    """Returns a branch without a last statement whose removal does what removing the branch does."""
    is_rejection = isinstance(branch[-1], ast.Raise) or (len(branch) == 1 and _CHECKS.match(_callee(branch[0])))
    return branch[:-1] if is_rejection else branch


def _has_only_return(statement: ast.If) -> bool:
    return not statement.orelse and isinstance(statement.body[0], ast.Return)
