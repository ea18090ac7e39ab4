"""Strip attention's work per query as Triton kernels: `strip_points.TorchPoints` on a GPU, in one pass each way.

The torch form writes each query's four row numbers and weights to memory before it reads the table, and sorts queries
to add up gradients. Here both live in registers: a query reads its position and, through the first-level cache, four
rows of its head's table (256 rows of 32 numbers are 32 KiB), and writes its result once, in the precision of value.

Gradients of a table are a product of the weights, as a banded matrix (rows, queries), with the gradients of the
queries, on tensor cores: each program sums a fixed share of the queries in order, and the shares are summed in order,
so that results do not vary. Three tf32 products make one of float32's precision.

Tested in Triton's interpreter and compiled for compute capabilities 8.0 and 9.0; not run on a GPU, not timed.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 2048  # numbers of a tile of values (queries, channels) that a program holds
WIDEST = 128  # channels of a tile
QUERIES = 32  # a step of the sum over queries
TABLE_TILE = 64  # table rows of a program that sums gradients
PROGRAMS = 512  # sought, by shape alone: shares fixed by the device would give each device its own rounding
LEAST_SHARE = 1024  # queries


def place(t: Tensor, bend: Tensor, start: Tensor, per_step: Tensor) -> Tensor:
    """t (B, H, N), the rest (B, H, 1) -> (asinh(t bend) - start) per_step, with the tokens first: (B, N, H)."""
    batch, heads, tokens = t.shape
    position = t.new_empty(batch, tokens, heads)
    width = triton.next_power_of_2(heads)
    block = max(TILE // 2 // width, 16)
    constants = [x.contiguous() for x in (bend, start, per_step)]
    with torch.cuda.device_of(t):
        _place[(batch * triton.cdiv(tokens, block),)](
            t, *constants, position, tokens, *t.stride(), heads=heads, width=width, block=block
        )
    return position


class TritonPoints:
    """The queries (B, N, H) float32 on tables (B, H, R, d) float32, as `strip_points.TorchPoints`."""

    def __init__(self, position: Tensor, table_rows: int) -> None:
        self.position, self.table_rows = position.contiguous(), table_rows

    def gather(self, table: Tensor, dtype: torch.dtype) -> Tensor:
        out = self.position.new_empty(*self.position.shape, table.shape[-1], dtype=dtype)
        width, block = _tile(table.shape[-1])
        with torch.cuda.device_of(table):
            _gather[(self._programs(block), triton.cdiv(table.shape[-1], width))](
                table.contiguous(), self.position, out, *self._sizes(table.shape[-1]), width=width, block=block
            )
        return out

    def arranged(self, grad: Tensor) -> Tensor:
        """Gradients come transposed, and expanded: the kernels take any strides but the last."""
        return grad if grad.stride(-1) == 1 else grad.contiguous()

    def gather_dot(self, table: Tensor, arranged: Tensor) -> Tensor:
        out = torch.empty_like(self.position)
        width, block = _tile(table.shape[-1])
        with torch.cuda.device_of(table):
            _gather_dot[(self._programs(block),)](
                table.contiguous(), self.position, arranged, out, *arranged.stride()[:3], *self._sizes(table.shape[-1]),
                width=width, block=block,
            )  # fmt: skip
        return out

    def scatter(self, arranged: Tensor) -> Tensor:
        batch, tokens, heads, channels = arranged.shape
        width = min(max(triton.next_power_of_2(channels), 16), WIDEST)  # 16: the least that tensor cores take
        tiles = triton.cdiv(self.table_rows, TABLE_TILE), triton.cdiv(channels, width)
        parts = min(triton.cdiv(PROGRAMS, batch * heads * tiles[0] * tiles[1]), triton.cdiv(tokens, LEAST_SHARE))
        steps = triton.cdiv(triton.cdiv(tokens, parts), QUERIES)
        out = self.position.new_empty(parts, batch, heads, self.table_rows, channels)
        with torch.cuda.device_of(arranged):
            _scatter[(parts * batch * heads, *tiles)](
                self.position, arranged, out, batch, steps, *arranged.stride()[:3], *self._sizes(channels),
                width=width, block=QUERIES, tile=TABLE_TILE,
            )  # fmt: skip
        return out.sum(0) if parts > 1 else out[0]

    def _programs(self, block: int) -> int:
        batch, tokens, heads = self.position.shape
        return int(batch * heads * triton.cdiv(tokens, block))

    def _sizes(self, channels: int) -> tuple[int, int, int, int]:
        return self.position.shape[1], self.position.shape[2], channels, self.table_rows


def _tile(channels: int) -> tuple[int, int]:
    width = min(triton.next_power_of_2(channels), WIDEST)
    return width, min(TILE // width, 256)


@triton.jit
def _place(
    t, bend, start, per_step, position, tokens, t_batch, t_head, t_token,
    heads: tl.constexpr, width: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    blocks = tl.cdiv(tokens, block)
    batch = (tl.program_id(0) // blocks).to(tl.int64)
    token = ((tl.program_id(0) % blocks) * block + tl.arange(0, block)).to(tl.int64)[:, None]
    head = tl.arange(0, width)[None, :]
    inside = (token < tokens) & (head < heads)
    of_head = batch * heads + head
    number = tl.load(t + batch * t_batch + head * t_head + token * t_token, inside, 0.0)
    bent = number * tl.load(bend + of_head, head < heads, 0.0)
    size = tl.log(tl.sqrt(bent * bent + 1) + tl.abs(bent))
    step = tl.where(bent < 0, -size, size) - tl.load(start + of_head, head < heads, 0.0)
    step *= tl.load(per_step + of_head, head < heads, 0.0)
    tl.store(position + (batch * tokens + token) * heads + head, step, inside)


@triton.jit
def _queries(program, tokens, heads, block: tl.constexpr):
    """A program's batch item, head and tokens. Heads are neighbours: they share lines of position."""
    blocks = tl.cdiv(tokens, block)
    token = (program // heads % blocks) * block + tl.arange(0, block)
    return (program // heads // blocks).to(tl.int64), (program % heads).to(tl.int64), token.to(tl.int64)


@triton.jit
def _cell(position, table_rows: tl.constexpr):
    """First row, of the queries' four, and weights, the cubic B-splines; nan has some row, and is nan there."""
    first = tl.minimum(tl.where(position >= 0, position, 0.0), table_rows - 4.0).to(tl.int32)
    x = position - first
    y = 1 - x
    return first, y * y * y / 6, 2 / 3 - x * x * (1 - x / 2), 2 / 3 - y * y * (1 - y / 2), x * x * x / 6


@triton.jit
def _values(table, first, w0, w1, w2, w3, channel, inside, channels: tl.constexpr):
    """(queries, channels), of this head's table."""
    row = table + first[:, None] * channels + channel[None, :]
    value = w0[:, None] * tl.load(row, inside, 0.0)
    value += w1[:, None] * tl.load(row + channels, inside, 0.0)
    value += w2[:, None] * tl.load(row + 2 * channels, inside, 0.0)
    return value + w3[:, None] * tl.load(row + 3 * channels, inside, 0.0)


@triton.jit
def _gather(
    table, position, out, tokens, heads,
    channels: tl.constexpr, table_rows: tl.constexpr, width: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    batch, head, token = _queries(tl.program_id(0), tokens, heads, block)
    channel = tl.program_id(1) * width + tl.arange(0, width)
    inside = (token < tokens)[:, None] & (channel < channels)[None, :]
    point = (batch * tokens + token) * heads + head
    first, w0, w1, w2, w3 = _cell(tl.load(position + point, token < tokens, 0.0), table_rows)
    table += (batch * heads + head) * table_rows * channels
    values = _values(table, first, w0, w1, w2, w3, channel, inside, channels)
    tl.store(out + point[:, None] * channels + channel[None, :], values, inside)


@triton.jit
def _gather_dot(
    table, position, other, out, o_batch, o_token, o_head, tokens, heads,
    channels: tl.constexpr, table_rows: tl.constexpr, width: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    batch, head, token = _queries(tl.program_id(0), tokens, heads, block)
    point = (batch * tokens + token) * heads + head
    first, w0, w1, w2, w3 = _cell(tl.load(position + point, token < tokens, 0.0), table_rows)
    table += (batch * heads + head) * table_rows * channels
    other += batch * o_batch + head * o_head
    product = tl.zeros((block,), tl.float32)
    for start in range(0, channels, width):
        channel = start + tl.arange(0, width)
        inside = (token < tokens)[:, None] & (channel < channels)[None, :]
        values = _values(table, first, w0, w1, w2, w3, channel, inside, channels)
        arriving = tl.load(other + token[:, None] * o_token + channel[None, :], inside, 0.0)
        product += tl.sum(values * arriving.to(tl.float32), 1)
    tl.store(out + point, product, token < tokens)


@triton.jit
def _scatter(
    position, grad, out, batches, steps, g_batch, g_token, g_head,
    tokens, heads, channels: tl.constexpr, table_rows: tl.constexpr,
    width: tl.constexpr, block: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    head = (tl.program_id(0) % heads).to(tl.int64)
    batch = (tl.program_id(0) // heads % batches).to(tl.int64)
    part = tl.program_id(0) // heads // batches
    row = tl.program_id(1) * tile + tl.arange(0, tile)
    channel = tl.program_id(2) * width + tl.arange(0, width)
    position += batch * tokens * heads + head
    grad += batch * g_batch + head * g_head
    total = tl.zeros((tile, width), tl.float32)
    for step in range(0, steps):
        token = ((part * steps + step) * block + tl.arange(0, block)).to(tl.int64)
        first, w0, w1, w2, w3 = _cell(tl.load(position + token * heads, token < tokens, 0.0), table_rows)
        number = row[:, None] - first[None, :]
        weights = tl.where(number == 0, w0[None, :], 0.0)
        weights = tl.where(number == 1, w1[None, :], weights)
        weights = tl.where(number == 2, w2[None, :], weights)
        weights = tl.where(number == 3, w3[None, :], weights)
        inside = (token < tokens)[:, None] & (channel < channels)[None, :]
        arriving = tl.load(grad + token[:, None] * g_token + channel[None, :], inside, 0.0).to(tl.float32)
        total = tl.dot(weights, arriving, total, input_precision="tf32x3")
    written = (tl.program_id(0).to(tl.int64) * table_rows + row[:, None]) * channels + channel[None, :]
    tl.store(out + written, total, (row < table_rows)[:, None] & (channel < channels)[None, :])
