"""Compiles the scan's kernels to machine code, no GPU needed: kernel, capability, variant, bytes shared."""

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from scaseg.models.encoders import selective_scan_triton as kernels

HALF = "u x delta b of_u of_delta"  # pointers to bfloat16 where the inputs are


def report(name: str, capability: int, half: str, **constants: int) -> None:
    """half: names of pointers to bfloat16, or to float32 where there are none; the others point to float32."""
    kernel = getattr(kernels, name)
    known = dict.fromkeys(("steps", "lines", "channels"), "i32")
    known |= dict.fromkeys(constants, "constexpr") | dict.fromkeys(half.split(), "*bf16")
    signature = {argument: known.get(argument, "*fp32") for argument in kernel.arg_names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(signature.values()) if kind[0] == "*"}
    compiled = triton.compile(
        ASTSource(kernel, signature, constants, aligned), target=GPUTarget("cuda", capability, 32)
    )
    assert len(compiled.asm["cubin"]) > 0
    print(name, capability, *constants.values(), len(half), compiled.metadata.shared)


def main() -> None:
    for capability, width, half in ((80, 1, ""), (80, 32, HALF), (80, 32, ""), (90, 32, "")):
        size = {"width": width, "tile": width}
        for reverse in (0, 1):
            report("_carry", capability, "", reverse=reverse, **size)
            report("_gradients", capability, half, reverse=reverse, **size)
            for adjoint, ends in ((0, 1), (0, 0), (1, 1)):
                report("_scan", capability, half, reverse=reverse, adjoint=adjoint, ends=ends, **size)


if __name__ == "__main__":
    main()
