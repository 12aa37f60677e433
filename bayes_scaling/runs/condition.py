"""Conditions on the rows of a table: a grammar of their own, since a condition may come from someone else.

A condition is parsed and never run: what is not of the grammar is refused before a cell is looked at.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable
from functools import reduce
from keyword import iskeyword
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidCondition, NoRows, choose

_LONGEST, _DEEPEST, _MOST_PIECES, _LARGEST_EXPONENT = 2000, 50, 1000, 10

_OPERATORS: Final[dict[type[ast.AST], Callable[..., Any]]] = {
    ast.And: operator.and_,
    ast.Or: operator.or_,
    ast.Not: operator.invert,
    ast.Invert: operator.invert,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_PIECES: Final = (ast.Name, ast.Constant, ast.List, ast.Tuple, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare)
_GRAMMAR: Final = (*_PIECES, ast.Load, ast.In, ast.NotIn, *_OPERATORS)
_WORDS: Final = {
    "Attribute": "an attribute",
    "Call": "a call",
    "Dict": "a dictionary",
    "IfExp": "a choice",
    "Is": "'is', which is written ==",
    "IsNot": "'is not', which is written !=",
    "JoinedStr": "an f-string",
    "Lambda": "a function",
    "NamedExpr": "an assignment",
    "Set": "a set, which is written [...]",
    "Subscript": "a subscript",
    **dict.fromkeys(("DictComp", "GeneratorExp", "ListComp", "SetComp"), "a comprehension"),
}
_RIGHT: Final = (
    "a condition compares columns with each other, with numbers and with quoted words (< <= > >= == !=, in [...]), "
    "calculates with + - * / **, and joins with and, or, not"
)
_TOKEN: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`|.""", re.DOTALL)
_DTYPES: Final = {bool: "boolean", type(None): "object", str: pd.StringDtype("python"), int: "Int64", float: "Float64"}
_KINDS: Final = {"boolean": "truth", "Int64": "number", "Float64": "number", "string": "word", "object": "nothing"}

Values = Any
"""One value a row, as an array of pandas that knows what is missing: truth values, numbers, words, or nothing at all."""


def rows_where(condition: str, table: pd.DataFrame, name: str) -> np.ndarray:
    """Return which rows of a table a condition holds for, at least one; ``name`` is the table's in messages.

    Numbers compare as numbers, words as words: ``1e8 < params <= 1e9``, ``series in ['size', 'data']``,
    ``tokens / params > 10``. A missing cell, or a quotient by zero, satisfies no comparison and no denial of one, but for
    ``column == None``.
    ``&``, ``|`` and ``~`` are other spellings of ``and``, ``or`` and ``not``, as pandas has them, and a column that is no
    plain name stands in backticks.

    >>> table = pd.DataFrame({"params": [1e8, 1e9, 1e10], "tokens": [2e9, np.nan, 2e10], "series": ["a", "b", "b"]})
    >>> rows_where("series == 'b' and tokens / params < 10", table, "runs").tolist()
    [False, False, True]
    >>> rows_where("open('x')", table, "runs")
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.InvalidCondition: The condition "open('x')" cannot be evaluated on runs: at character 1, "open('x')" ...
    """
    rows = _Condition(condition, table, name).rows()
    if not rows.any():
        raise NoRows(f"No row of {name} is left where {condition}; give a condition that some row meets.")
    return rows


def rows_with(column: str, label: Any) -> str:
    """Return the condition that holds for the rows with a label in a column, none included.

    >>> rows_with("series", "size"), rows_with("my column", np.float64(2.0)), rows_with("corpus", None)
    ("series == 'size'", '`my column` == 2.0', 'corpus == None')
    """
    name = column if column.isidentifier() and not iskeyword(column) else f"`{column}`"
    if pd.isna(label):
        return f"{name} == None"
    value = label.item() if isinstance(label, np.generic) else label
    return f"{name} == {value!r}"


class _Condition:
    """A condition read against a table; everything refused names the piece and where it stands."""

    def __init__(self, text: str, table: pd.DataFrame, name: str) -> None:
        self._text, self._table, self._name = text, table, name
        self._columns = {str(column): column for column in table.columns}
        self._code = ""  # what is parsed, in one line
        self._places: list[int] = []  # where in the text each character of the code stands

    def rows(self) -> np.ndarray:
        tree = self._parsed()
        self._check(tree)
        with np.errstate(all="ignore"):
            truth = self._of_kind("truth", tree, "is the whole condition", "compare it with something")
        return truth.to_numpy(dtype=bool, na_value=False)

    # Reading

    def _parsed(self) -> ast.expr:
        if len(self._text) > _LONGEST:
            raise self._refusal(None, f"it has {len(self._text):,} characters", f"{_LONGEST:,} are the most")
        if "'''" in self._text or '"""' in self._text:
            raise self._refusal(None, "it has quotes of three marks", "quote a word with one mark")
        for token in _TOKEN.finditer(self._text):
            self._read(token.group(), token.start())
        if not self._code:
            raise self._refusal(None, "it is empty", _RIGHT)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of escapes that are none: the word is taken as it stands
                return ast.parse(self._code, mode="eval").body
        except SyntaxError as error:
            raise self._unreadable((error.offset or 0) - 1) from None
        except (ValueError, RecursionError, MemoryError):
            raise self._unreadable(-1) from None

    def _read(self, token: str, start: int) -> None:
        """Add a token to the code: quoted names as plain ones of the same length, & and | with the precedence of words."""
        if token == "#":
            raise self._refusal(start, "begins a comment", "leave it out")
        if len(token) > 1 and token[0] == "`":
            token = "_" * len(token)
        code = {"&": " and ", "|": " or "}.get(token, " " if token.isspace() else token)
        code = code if self._code else code.lstrip()
        self._code += code
        self._places += range(start, start + len(code)) if len(code) == len(token) else [start] * len(code)

    def _check(self, tree: ast.expr) -> None:
        """Refuse every piece that is not of the grammar, and every name that is no column, before anything is looked up."""
        pieces: list[tuple[ast.AST, ast.expr, int]] = [(tree, tree, 0)]
        for node, around, depth in pieces:  # grows as it is read
            place = node if isinstance(node, ast.expr) else around
            if not isinstance(node, _GRAMMAR):
                raise self._refusal(
                    place, f"contains {_WORDS.get(type(node).__name__, 'what a condition cannot have')}", _RIGHT
                )
            if isinstance(node, ast.Name) and self._column_of(node) not in self._columns:
                raise self._refusal(node, "is not a column", choose(self._column_of(node), self._columns))
            if depth > _DEEPEST or len(pieces) > _MOST_PIECES:
                raise self._refusal(None, "it is nested too deep, or has too many parts", "write it with fewer")
            pieces += [(child, place, depth + 1) for child in ast.iter_child_nodes(node)]
        if not any(isinstance(node, ast.Name) for node, _, _ in pieces):
            raise self._refusal(None, "it names no column", f"the columns are {', '.join(self._columns)}")

    # Evaluation

    def _values(self, node: ast.expr) -> Values:
        match node:
            case ast.Name():
                return _cells(self._table[self._columns[self._column_of(node)]])
            case ast.Constant():
                return self._constant(node)
            case ast.BoolOp():
                how = "is joined by and" if isinstance(node.op, ast.And) else "is joined by or"
                parts = [self._of_kind("truth", part, how, "compare it with something first") for part in node.values]
                return reduce(_OPERATORS[type(node.op)], parts)
            case ast.UnaryOp(op=ast.Not() | ast.Invert()):
                return ~self._of_kind("truth", node.operand, "is denied", "compare it with something first")
            case ast.UnaryOp():
                return _OPERATORS[type(node.op)](self._number(node.operand))
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.Compare():
                sides = [node.left, *node.comparators]
                pairs = zip(sides[:-1], node.ops, sides[1:], strict=True)
                return reduce(operator.and_, [self._compared(*pair) for pair in pairs])
            case _:
                raise self._refusal(node, "is a list", "a list can only follow in, or not in")

    def _of_kind(self, kind: str, node: ast.expr, how: str, right: str) -> Values:
        values = self._values(node)
        if _kind(values) == "nothing":
            return pd.array([pd.NA] * len(values), dtype="boolean" if kind == "truth" else "Float64")
        if _kind(values) != kind:
            wanted = "true or false" if kind == "truth" else "a number"
            raise self._refusal(node, f"{how} and is not {wanted} but {_described(values)}", right)
        return values

    def _number(self, node: ast.expr) -> Values:
        return self._of_kind("number", node, "is used in arithmetic", "calculate with numbers")

    def _constant(self, node: ast.Constant) -> Values:
        """Return a number, a word, a truth value or None, the same in every row."""
        value: Any = node.value
        if type(value) not in _DTYPES:
            raise self._refusal(node, "is neither a number nor a word", _RIGHT)
        try:
            value = float(value) if isinstance(value, int) and abs(value) >= 2**63 else value
        except OverflowError:
            raise self._refusal(node, "is too large a number", "give one below 1e308") from None
        return pd.array([value] * len(self._table), dtype=_DTYPES[type(value)])

    def _arithmetic(self, node: ast.BinOp) -> Values:
        sides = [self._number(side) for side in (node.left, node.right)]
        if isinstance(node.op, ast.Pow):
            exponent = getattr(_literal(node.right), "value", None)
            if not isinstance(exponent, int | float) or abs(exponent) > _LARGEST_EXPONENT:
                limits = f"it has to be a plain number between -{_LARGEST_EXPONENT} and {_LARGEST_EXPONENT}"
                raise self._refusal(node.right, "is an exponent", limits)
        one, other = (side.to_numpy(dtype=float, na_value=np.nan) for side in sides)
        if isinstance(node.op, ast.Div):
            other = np.where(other == 0, np.nan, other)  # a quotient by zero is as a missing cell
        cells = _OPERATORS[type(node.op)](one, other)
        return pd.arrays.FloatingArray(cells, np.isnan(cells) | sides[0].isna() | sides[1].isna())

    def _compared(self, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> Values:
        is_list = isinstance(right, ast.List | ast.Tuple)
        if isinstance(sign, ast.In | ast.NotIn):
            if not is_list:
                raise self._refusal(
                    right, "follows in and is not a list", "write the choices in brackets, such as ['a', 'b']"
                )
            among = self._among(left, right.elts)
            return among if isinstance(sign, ast.In) else ~among
        if is_list:
            raise self._refusal(right, "is a list", "write in before a list, or not in")
        one, other = self._values(left), self._values(right)
        by_size = not isinstance(sign, ast.Eq | ast.NotEq)
        if any(isinstance(side, ast.Constant) and side.value is None for side in (left, right)):
            if by_size:
                raise self._refusal(right, "is compared by size with None", "write == None where a cell is missing")
            return pd.array((one.isna() & other.isna()) == isinstance(sign, ast.Eq), dtype="boolean")
        return self._pair(left, one, right, other, sign)

    def _among(self, left: ast.expr, choices: list[ast.expr]) -> Values:
        values = self._values(left)
        among = pd.arrays.BooleanArray(np.zeros(len(values), dtype=bool), values.isna())
        for node in choices:
            if _literal(node) is None:
                raise self._refusal(node, "is not a constant", "a list holds numbers and quoted words")
            choice = self._values(node)
            if _kind(choice) == "nothing":
                raise self._refusal(node, "is in a list", "write column == None where a cell is missing")
            among |= self._pair(left, values, node, choice, ast.Eq())
        return among

    def _pair(self, left: ast.expr, one: Values, right: ast.expr, other: Values, sign: ast.cmpop) -> Values:
        kinds = {_kind(one), _kind(other)}
        if "nothing" in kinds:
            return pd.array([pd.NA] * len(one), dtype="boolean")
        if len(kinds) == 2 and "word" in kinds:
            what = f"is {_described(one)} and {_short(self._piece(right))} is {_described(other)}"
            raise self._refusal(left, what, "compare numbers with numbers, and words with quoted words")
        if "truth" in kinds and not isinstance(sign, ast.Eq | ast.NotEq):
            raise self._refusal(left, "is compared by size with a value that is true or false", "write == or !=")
        return _OPERATORS[type(sign)](one, other)

    # Refusing

    def _column_of(self, node: ast.Name) -> str:
        piece = self._piece(node)
        return piece[1:-1] if len(piece) > 1 and piece[0] == piece[-1] == "`" else piece

    def _piece(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._text[start:end]

    def _span(self, node: ast.expr) -> tuple[int, int]:
        code = self._code.encode()
        start, end = (len(code[:offset].decode()) for offset in (node.col_offset, node.end_col_offset or 0))
        return self._places[start], self._places[end - 1] + 1

    def _unreadable(self, at: int) -> InvalidCondition:
        """Return the error of what is no expression, at a place in the code or at none."""
        if not 0 <= at < len(self._code):
            return self._refusal(None, "it breaks off" if at >= len(self._code) else "it cannot be read", _RIGHT)
        place = self._places[at]
        rights = {"=": "write == to compare", "@": "only columns have names here", "`": "close the backtick"}
        rights |= dict.fromkeys("'\"", "close the quote")
        return self._refusal(place, "cannot be read", rights.get(self._text[place], _RIGHT))

    def _refusal(self, place: ast.expr | int | None, what: str, right: str) -> InvalidCondition:
        if isinstance(place, ast.expr):
            what = f"at character {self._span(place)[0] + 1}, {_short(self._piece(place))} {what}"
        elif place is not None:
            what = f"at character {place + 1}, {_short(self._text[place : place + 20])} {what}"
        return InvalidCondition(
            f"The condition {_short(self._text, 200)} cannot be evaluated on {self._name}: {what}; {right}."
        )


def _literal(node: ast.expr) -> ast.Constant | None:
    """Return the constant that a piece is, with a sign or without one."""
    match node:
        case ast.Constant():
            return node
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant() as constant):
            return constant
        case _:
            return None


def _cells(column: pd.Series) -> Values:
    """Return what a column holds: numbers, words, truth values, or nothing."""
    cells = column.astype(object)
    match pd.api.types.infer_dtype(cells.dropna()):
        case "empty":
            return pd.array(cells, dtype="object")
        case "boolean":
            return pd.array(cells, dtype="boolean")
        case "integer" if pd.api.types.is_signed_integer_dtype(column.dtype):
            return pd.array(cells, dtype="Int64")
        case "floating" | "integer" | "mixed-integer-float":
            return pd.array(cells, dtype="Float64")
        case _:
            return pd.array(cells.map(str, na_action="ignore"), dtype=_DTYPES[str])


def _kind(values: Values) -> str:
    return _KINDS[values.dtype.name]


def _described(values: Values) -> str:
    if _kind(values) != "word":
        return {"number": "numeric", "truth": "true or false"}.get(_kind(values), "nothing")
    words = pd.Series(values.dropna())
    no_numbers = words[pd.to_numeric(words, errors="coerce").isna()]
    first = (no_numbers if len(no_numbers) else words).iloc[:1]
    return "of words" + "".join(f" such as {_short(word)}" for word in first)


def _short(text: str, most: int = 60) -> str:
    return repr(text if len(text) <= most else f"{text[: most - 3]}...")
