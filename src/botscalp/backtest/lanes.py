"""Sixteen rows at a time, in the processor's vector registers: what the kernel's two loops are made of.

A walk that asks one row after the other mispredicts its way out of nearly every stretch, since markets leave no pattern to
learn; asking sixteen at once leaves one branch. Numba does not vectorise a search by itself, so these few words say it to
LLVM, which lowers them for whatever processor there is. Arithmetic is IEEE, rounded as in the scalar loops, to the last bit.

Each function reads (or writes) rows `row` .. `row + LANES - 1` of its columns; who calls sees to it that they exist.
"""

from collections.abc import Callable
from typing import Any

import numba.extending
from llvmlite import ir
from numba.core import cgutils, types

LANES = 16

intrinsic: Any = numba.extending.intrinsic

_FLOATS = ir.VectorType(ir.DoubleType(), LANES)
_INDEX = ir.IntType(32)
_COUNT = ir.IntType(64)

Code = tuple[Any, Callable[..., Any]]
"""A signature, and what emits the instructions."""


@intrinsic
def first_signal(typing: Any, p: Any, below: Any, above: Any, row: Any) -> Code:
    """Rows until p < below or p > above; LANES if none of them is. A NaN is neither."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        p, below, above, row = arguments
        values = _loaded(context, builder, signature.args[0], p, row)
        low = builder.fcmp_ordered("<", values, _spread(builder, below))
        high = builder.fcmp_ordered(">", values, _spread(builder, above))
        return _first(builder, builder.or_(low, high))

    return types.uint64(p, types.float64, types.float64, types.uint64), emit


@intrinsic
def first_touch(typing: Any, low: Any, lower: Any, high: Any, upper: Any, row: Any) -> Code:
    """Rows until low <= lower or high >= upper; LANES if none of them is."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        low, lower, high, upper, row = arguments
        lows, highs = (
            _loaded(context, builder, signature.args[at], column, row) for at, column in ((0, low), (2, high))
        )
        below = builder.fcmp_ordered("<=", lows, _spread(builder, lower))
        above = builder.fcmp_ordered(">=", highs, _spread(builder, upper))
        return _first(builder, builder.or_(below, above))

    return types.uint64(low, types.float64, high, types.float64, types.uint64), emit


@intrinsic
def fill(typing: Any, out: Any, value: Any, row: Any) -> Code:
    """out = value"""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, value, row = arguments
        _store(context, builder, signature.args[0], out, row, _spread(builder, value))
        return context.get_dummy_value()

    return types.void(out, types.float64, types.uint64), emit


@intrinsic
def mark(typing: Any, out: Any, held: Any, position: Any, close: Any, price: Any, row: Any) -> Code:
    """out = held + position * (close - price)"""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, held, position, close, price, row = arguments
        closes = _loaded(context, builder, signature.args[3], close, row)
        moved = builder.fmul(_spread(builder, position), builder.fsub(closes, _spread(builder, price)))
        _store(context, builder, signature.args[0], out, row, builder.fadd(_spread(builder, held), moved))
        return context.get_dummy_value()

    return types.void(out, types.float64, types.float64, close, types.float64, types.uint64), emit


@intrinsic
def lowest(typing: Any, column: Any, row: Any, count: Any) -> Code:
    """The least of the first `count` rows, 1 to LANES of them."""
    return types.float64(column, types.uint64, types.uint64), _extreme("fmin", float("inf"))


@intrinsic
def highest(typing: Any, column: Any, row: Any, count: Any) -> Code:
    """The greatest of the first `count` rows, 1 to LANES of them."""
    return types.float64(column, types.uint64, types.uint64), _extreme("fmax", float("-inf"))


def _extreme(reduction: str, neutral: float) -> Callable[..., Any]:
    """Emits the reduction of a column's rows, the lanes beyond `count` neutral."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        column, row, count = arguments
        lane = ir.Constant(ir.VectorType(_COUNT, LANES), list(range(LANES)))
        asked = builder.icmp_unsigned("<", lane, _spread(builder, count, ir.VectorType(_COUNT, LANES)))
        values = builder.select(
            asked, _loaded(context, builder, signature.args[0], column, row), ir.Constant(_FLOATS, [neutral] * LANES)
        )
        reduce = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.DoubleType(), [_FLOATS]), f"llvm.vector.reduce.{reduction}.v{LANES}f64"
        )
        return builder.call(reduce, [values], fastmath=("nnan", "nsz"))  # prices are numbers

    return emit


def _spread(builder: Any, value: Any, kind: Any = _FLOATS) -> Any:
    """The value in every lane."""
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES))


def _address(context: Any, builder: Any, kind: Any, column: Any, row: Any) -> Any:
    data = context.make_array(kind)(context, builder, column).data
    return builder.bitcast(builder.gep(data, [row]), _FLOATS.as_pointer())


def _loaded(context: Any, builder: Any, kind: Any, column: Any, row: Any) -> Any:
    values = builder.load(_address(context, builder, kind, column, row))
    values.align = 8  # a row may start anywhere, not only where a register would like it
    return values


def _store(context: Any, builder: Any, kind: Any, column: Any, row: Any, values: Any) -> None:
    builder.store(values, _address(context, builder, kind, column, row)).align = 8


def _first(builder: Any, hits: Any) -> Any:
    """Position of the first lane that is set: trailing zeros of the lanes as bits, with one more bit that always is."""
    bits = builder.zext(builder.bitcast(hits, ir.IntType(LANES)), _COUNT)
    return builder.cttz(builder.or_(bits, ir.Constant(_COUNT, 1 << LANES)), ir.Constant(ir.IntType(1), 1))
