"""Conditions on the rows of a table: a grammar of their own, since a condition may come from someone else.

A condition is parsed and never run: what is not of the grammar is refused before a cell is looked at.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidRuns, choose

_LONGEST, _DEEPEST, _MOST_PIECES, _LARGEST_EXPONENT = 2000, 50, 1000, 10

_COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_RECKON: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_GRAMMAR: Final = (
    *(ast.Expression, ast.Load, ast.Name, ast.Constant, ast.List, ast.Tuple),
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Invert, ast.USub, ast.UAdd),
    *(ast.Compare, ast.In, ast.NotIn, *_COMPARE, ast.BinOp, *_RECKON),
)
_CALLED: Final = {
    "Attribute": "an attribute",
    "Call": "a call",
    "Dict": "a dictionary",
    "DictComp": "a comprehension",
    "GeneratorExp": "a comprehension",
    "IfExp": "a choice",
    "Is": "'is', which is written ==",
    "IsNot": "'is not', which is written !=",
    "JoinedStr": "an f-string",
    "Lambda": "a function",
    "ListComp": "a comprehension",
    "NamedExpr": "an assignment",
    "Set": "a set, which is written [...]",
    "SetComp": "a comprehension",
    "Subscript": "a subscript",
}
_RIGHT: Final = (
    "a condition compares columns with each other, with numbers and with quoted words (< <= > >= == !=, in [...]), "
    "reckons with + - * / **, and joins with and, or, not"
)
_TOKEN: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`|.""", re.DOTALL)


@dataclass(frozen=True)
class _Value:
    """One cell a row: numbers, words or truth values, and which are missing (of truth values: not known)."""

    kind: str
    cells: np.ndarray
    missing: np.ndarray


def rows_where(condition: str, table: pd.DataFrame, name: str) -> np.ndarray:
    """Return the rows of a table for which a condition holds.

    Numbers compare as numbers, words as words. A missing cell satisfies no comparison and no denial of one, but for
    ``column == None``. ``&``, ``|`` and ``~`` are other spellings of ``and``, ``or`` and ``not``, as pandas has them,
    and a column that is no plain name stands in backticks.

    Parameters
    ----------
    condition : str
        Comparisons (``1e8 < params <= 1e9``, ``series in ['size', 'data']``) and columns of truth values, joined by
        ``and``, ``or``, ``not``; numbers may be reckoned with (``tokens / params > 10``).
    table : DataFrame
        Its columns are the names a condition may have.
    name : str
        What to call the table in messages.

    Returns
    -------
    array of bool
        Whether to keep each row; at least one.

    Raises
    ------
    InvalidRuns
        If the condition is not of the grammar, names no column, compares what cannot be compared, or holds for no row.

    Examples
    --------
    >>> table = pd.DataFrame({"params": [1e8, 1e9, 1e10], "tokens": [2e9, np.nan, 2e10], "series": ["a", "b", "b"]})
    >>> rows_where("series == 'b' and tokens / params < 10", table, "runs").tolist()
    [False, False, True]
    >>> rows_where("open('x')", table, "runs")
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.InvalidRuns: The condition "open('x')" cannot be evaluated on runs: at character 1, "open('x')" ...
    """
    kept = _Condition(condition, table, name).holds()
    if not kept.any():
        raise InvalidRuns(f"No row of {name} is left where {condition}; give a condition that some row meets.")
    return kept


class _Condition:
    """A condition read against a table; everything refused names the piece and where it stands."""

    def __init__(self, text: str, table: pd.DataFrame, name: str) -> None:
        self._text, self._table, self._name = text, table, name
        self._columns = {str(column): column for column in table.columns}
        self._code = ""  # what is parsed, in one line
        self._place: list[int] = []  # where in the text each character of the code stands

    def holds(self) -> np.ndarray:
        tree = self._parsed()
        with np.errstate(all="ignore"):
            found = self._of_kind("truth", tree, "is the whole condition", "compare it with something")
        return found.cells

    # Reading

    def _parsed(self) -> ast.expr:
        if len(self._text) > _LONGEST:
            self._refuse(None, f"it has {len(self._text):,} characters", f"{_LONGEST:,} are the most")
        if "'''" in self._text or '"""' in self._text:
            self._refuse(None, "it has quotes of three marks", "quote a word with one mark")
        for token in _TOKEN.finditer(self._text):
            self._read(token.group(), token.start())
        leading = len(self._code) - len(self._code.lstrip())
        self._code, self._place = self._code[leading:], self._place[leading:]
        if not self._code:
            self._refuse(None, "it is empty", _RIGHT)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of escapes that are none: the word is taken as it stands
                tree = ast.parse(self._code, mode="eval")
        except SyntaxError as error:
            self._refuse_unreadable((error.offset or 0) - 1)
        except (ValueError, RecursionError, MemoryError):
            self._refuse_unreadable(-1)
        self._check(tree)
        return tree.body

    def _read(self, token: str, start: int) -> None:
        """Add a token to the code: quoted names as plain ones of the same length, & and | with the precedence of words."""
        if token == "#":
            self._refuse(start, "begins a comment", "leave it out")
        if len(token) > 1 and token[0] == "`":
            token = "_" * len(token)
        code = {"&": " and ", "|": " or "}.get(token, " " if token.isspace() else token)
        self._code += code
        self._place += range(start, start + len(code)) if code not in (" and ", " or ") else [start] * len(code)

    def _check(self, tree: ast.Expression) -> None:
        """Refuse every piece that is not of the grammar, and every name that is no column, before anything is looked up."""
        waiting: list[tuple[ast.AST, ast.AST, int]] = [(tree, tree.body, 0)]
        pieces, names = 0, 0
        while waiting:
            node, around, depth = waiting.pop(0)
            pieces += 1
            place = node if isinstance(node, ast.expr) else around
            if not isinstance(node, _GRAMMAR):
                self._refuse(place, f"has {_CALLED.get(type(node).__name__, 'what a condition has not')}", _RIGHT)
            if isinstance(node, ast.Name):
                names += 1
                if self._column_of(node) not in self._columns:
                    self._refuse(place, "is no column", choose(self._column_of(node), self._columns))
            if depth > _DEEPEST or pieces > _MOST_PIECES:
                self._refuse(None, "it is nested too deep, or has too many pieces", "say it with fewer")
            waiting += [(child, place, depth + 1) for child in ast.iter_child_nodes(node)]
        if not names:
            self._refuse(None, "it names no column", f"the columns are {', '.join(self._columns)}")

    # What it comes to

    def _of(self, node: ast.expr) -> _Value:  # noqa: RET503 - _refuse raises
        match node:
            case ast.Name():
                return _cells(self._table[self._columns[self._column_of(node)]])
            case ast.BoolOp():
                return self._joined(node)
            case ast.UnaryOp(op=ast.Not() | ast.Invert()):
                value = self._of_kind("truth", node.operand, "is denied", "compare it with something first")
                return _Value("truth", ~value.cells & ~value.missing, value.missing)
            case ast.UnaryOp() | ast.BinOp():
                return self._reckoned(node)
            case ast.Compare():
                return self._compared(node)
            case ast.List() | ast.Tuple():
                self._refuse(node, "is a list", "a list stands after in, or not in")
            case _:
                return self._constant(node)

    def _of_kind(self, kind: str, node: ast.expr, how: str, right: str) -> _Value:
        value = self._of(node)
        if value.kind == "nothing" and value.missing.all():
            empty = np.zeros(len(self._table), dtype=bool if kind == "truth" else float)
            return _Value(kind, empty, value.missing)
        if value.kind != kind:
            said = "true or false" if kind == "truth" else "a number"
            self._refuse(node, f"{how} and is not {said} but {self._described(value)}", right)
        return value

    def _constant(self, node: ast.expr) -> _Value:  # noqa: RET503 - _refuse raises
        """Return a number, a word, a truth value or None, the same in every row."""
        rows, value = len(self._table), None
        match node:
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant()):
                return self._reckoned(node)
            case ast.Constant():
                value = node.value
            case _:
                self._refuse(node, "is no constant", "a list holds numbers and quoted words")
        present = np.zeros(rows, dtype=bool)
        match value:
            case None:
                return _Value("nothing", np.zeros(rows), ~present)
            case bool():
                return _Value("truth", np.full(rows, value), present)
            case int() | float():
                try:
                    small = isinstance(value, int) and abs(value) < 2**63
                    return _Value("number", np.full(rows, value if small else float(value)), present)
                except OverflowError:
                    self._refuse(node, "is too large a number", "give one below 1e308")
            case str():
                return _Value("word", np.full(rows, value, dtype=object), present)
            case _:
                self._refuse(node, "is neither a number nor a word", _RIGHT)

    def _reckoned(self, node: ast.UnaryOp | ast.BinOp) -> _Value:
        parts = (node.operand,) if isinstance(node, ast.UnaryOp) else (node.left, node.right)
        values = [self._of_kind("number", part, "is reckoned with", "reckon with numbers") for part in parts]
        if isinstance(node, ast.UnaryOp):
            cells = -values[0].cells if isinstance(node.op, ast.USub) else values[0].cells
        else:
            if isinstance(node.op, ast.Pow):
                self._check_exponent(node.right)
            cells = _RECKON[type(node.op)](*(value.cells.astype(float) for value in values))
        return _Value("number", cells, np.any([np.isnan(cells), *(value.missing for value in values)], axis=0))

    def _check_exponent(self, node: ast.expr) -> None:
        plain = node.operand if isinstance(node, ast.UnaryOp) else node
        value = plain.value if isinstance(plain, ast.Constant) else None
        if not isinstance(value, int | float) or abs(value) > _LARGEST_EXPONENT:
            self._refuse(
                node, "is an exponent", f"it has to be a plain number between -{_LARGEST_EXPONENT} and {_LARGEST_EXPONENT}"
            )

    def _joined(self, node: ast.BoolOp) -> _Value:
        word = "and" if isinstance(node.op, ast.And) else "or"
        parts = [
            self._of_kind("truth", part, f"is joined by {word}", "compare it with something first") for part in node.values
        ]
        yes = np.array([part.cells for part in parts])
        no = np.array([~part.cells & ~part.missing for part in parts])
        yes, no = (yes.all(axis=0), no.any(axis=0)) if word == "and" else (yes.any(axis=0), no.all(axis=0))
        return _Value("truth", yes, ~yes & ~no)

    def _compared(self, node: ast.Compare) -> _Value:
        """Return whether each of a chain of comparisons holds."""
        places = [node.left, *node.comparators]
        yes, no = np.ones(len(self._table), dtype=bool), np.zeros(len(self._table), dtype=bool)
        for left, sign, right in zip(places[:-1], node.ops, places[1:], strict=True):
            found = (
                self._within(left, sign, right) if isinstance(sign, ast.In | ast.NotIn) else self._pair(left, sign, right)
            )
            yes, no = yes & found.cells, no | (~found.cells & ~found.missing)
        return _Value("truth", yes, ~yes & ~no)

    def _pair(self, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> _Value:
        if isinstance(right, ast.List | ast.Tuple):
            self._refuse(right, "is a list", "write in before a list, or not in")
        one, other = self._of(left), self._of(right)
        equality = isinstance(sign, ast.Eq | ast.NotEq)
        if any(isinstance(side, ast.Constant) and side.value is None for side in (left, right)):
            if not equality:
                self._refuse(right, "is compared by size with nothing", "write == None where a cell is missing")
            alike = one.missing & other.missing
            return _Value("truth", alike if isinstance(sign, ast.Eq) else ~alike, np.zeros_like(alike))
        missing = one.missing | other.missing
        if "nothing" in (one.kind, other.kind):
            return _Value("truth", np.zeros_like(missing), missing)
        self._check_comparable(left, one, right, other)
        if not equality and "truth" in (one.kind, other.kind):
            self._refuse(left, "is compared by size with what is true or false", "write == or !=")
        return _Value("truth", _COMPARE[type(sign)](one.cells, other.cells).astype(bool) & ~missing, missing)

    def _within(self, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> _Value:
        if not isinstance(right, ast.List | ast.Tuple):
            self._refuse(right, "stands after in and is no list", "write the choices in brackets, such as ['a', 'b']")
        value, alike = self._of(left), np.zeros(len(self._table), dtype=bool)
        for node in right.elts:
            choice = self._constant(node)
            if choice.kind == "nothing":
                self._refuse(node, "is in a list", "write column == None where a cell is missing")
            if value.kind != "nothing":
                self._check_comparable(left, value, node, choice)
                alike |= (value.cells == choice.cells).astype(bool)
        return _Value("truth", (alike if isinstance(sign, ast.In) else ~alike) & ~value.missing, value.missing)

    def _check_comparable(self, left: ast.expr, one: _Value, right: ast.expr, other: _Value) -> None:
        if one.kind != other.kind and "word" in (one.kind, other.kind):
            self._refuse(
                left,
                f"is {self._described(one)} and {self._piece(right)} is {self._described(other)}",
                "compare numbers with numbers, and words with quoted words",
            )

    # What is said

    def _described(self, value: _Value) -> str:
        if value.kind != "word":
            return {"number": "numeric", "truth": "true or false"}.get(value.kind, "nothing")
        words = pd.Series(value.cells[~value.missing])
        none = words[pd.to_numeric(words, errors="coerce").isna()]
        first = (none if len(none) else words).iloc[:1]
        return "of words" + "".join(f" such as {_short(word)}" for word in first)

    def _column_of(self, node: ast.Name) -> str:
        start, end = self._span(node)
        piece = self._text[start:end]
        return piece[1:-1] if len(piece) > 1 and piece[0] == piece[-1] == "`" else piece

    def _span(self, node: ast.expr) -> tuple[int, int]:
        code = self._code.encode()
        start, end = (len(code[:offset].decode()) for offset in (node.col_offset, node.end_col_offset or 0))
        return self._place[start], self._place[end - 1] + 1

    def _piece(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return _short(self._text[start:end])

    def _refuse_unreadable(self, at: int) -> NoReturn:
        """Refuse what is no expression, at a place in the code or at none."""
        if not 0 <= at < len(self._code):
            breaks_off = at >= len(self._code)
            self._refuse(None, "it breaks off" if breaks_off else "it cannot be read", _RIGHT)
        place = self._place[at]
        rights = {
            "=": "write == to compare",
            "@": "only columns have names here",
            "`": "close the backtick",
            "'": "close the quote",
            '"': "close the quote",
        }
        self._refuse(place, "cannot be read", rights.get(self._text[place], _RIGHT))

    def _refuse(self, place: ast.AST | int | None, what: str, right: str) -> NoReturn:
        said = what
        if isinstance(place, ast.expr):
            said = f"at character {self._span(place)[0] + 1}, {self._piece(place)} {what}"
        elif isinstance(place, int):
            said = f"at character {place + 1}, {_short(self._text[place : place + 20])} {what}"
        raise InvalidRuns(f"The condition {_short(self._text, 200)} cannot be evaluated on {self._name}: {said}; {right}.")


def _cells(column: pd.Series) -> _Value:
    """Return what a column holds: numbers, words, truth values, or nothing."""
    missing = column.isna().to_numpy(dtype=bool)
    known = column[~missing].astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column[~missing]
    if not len(known):
        return _Value("nothing", np.zeros(len(column)), missing)
    match pd.api.types.infer_dtype(known):
        case "boolean":
            kind, cells = "truth", np.zeros(len(column), dtype=bool)
        case "integer" if pd.api.types.is_signed_integer_dtype(column.dtype):
            kind, cells = "number", np.zeros(len(column), dtype=np.int64)
        case "floating" | "integer" | "mixed-integer-float":
            kind, cells = "number", np.zeros(len(column))
        case _:
            kind, cells, known = "word", np.full(len(column), "", dtype=object), known.map(str)
    cells[~missing] = known.to_numpy(dtype=cells.dtype)
    return _Value(kind, cells, missing)


def _short(text: str, most: int = 60) -> str:
    return repr(text if len(text) <= most else f"{text[: most - 3]}...")
