"""Compiles each kernel to machine code, no GPU needed: kernel, capability, tensor core products, bytes shared."""

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from scaseg.models.layers import strip_triton

F32, BF16, INTEGER, CONSTANT = "*fp32", "*bf16", "i32", "constexpr"


def report(name: str, capability: int, pointers: dict[str, str], integers: str, constants: dict[str, int]) -> None:
    names = pointers | dict.fromkeys(integers.split(), INTEGER)
    kernel = getattr(strip_triton, name)
    signature = {argument: names.get(argument, CONSTANT) for argument in kernel.arg_names}
    aligned = {
        (place,): [["tt.divisibility", 16]]  # as the launcher finds whole tensors and their strides
        for place, argument in enumerate(signature)
        if argument in pointers or argument.endswith(("_batch", "_token", "_head"))
    }
    source = ASTSource(kernel, signature, constants, aligned)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    assert len(compiled.asm["cubin"]) > 0
    print(name, capability, compiled.asm["ptx"].count("mma"), compiled.metadata.shared)


def main() -> None:
    for capability in (80, 90):
        for channels in (1, 32, 80):
            width, block = strip_triton._tile(channels)
            sizes = {"channels": channels, "table_rows": 256, "width": width, "block": block}
            strides = "{0}_batch {0}_token {0}_head tokens heads"
            report("_gather", capability, {"table": F32, "position": F32, "out": BF16}, "tokens heads", sizes)
            pointers = {"table": F32, "position": F32, "other": BF16, "out": F32}
            report("_gather_dot", capability, pointers, strides.format("o"), sizes)
            for grad in (F32, BF16):
                pointers = {"position": F32, "grad": grad, "out": F32}
                tiles = {"width": max(width, 16), "block": strip_triton.QUERIES, "tile": strip_triton.TABLE_TILE}
                report("_scatter", capability, pointers, f"batches steps {strides.format('g')}", sizes | tiles)
        pointers = dict.fromkeys(("t", "bend", "start", "per_step", "position"), F32)
        report("_place", capability, pointers, "tokens t_batch t_head t_token", {"heads": 5, "width": 8, "block": 128})


if __name__ == "__main__":
    main()
