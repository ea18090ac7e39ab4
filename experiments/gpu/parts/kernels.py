"""(1) The kernels' own tests and strip attention's traps on the device, and its errors at the decoder's real sizes."""

import os
import subprocess
import sys
from collections import Counter
from xml.etree import ElementTree

import scaseg.torchvision_fix  # noqa: F401

import torch

from experiments.gpu.section import Section, Setting
from tests.models.strip_families import distance, exact, gradients, inputs, spline

FILES = (
    "tests/models/interpreted_strip_triton.py",
    "tests/models/interpreted_selective_scan_triton.py",
    "tests/models/test_strip_attention_traps.py",
    "tests/models/test_strip_attention_gradients.py",
    "tests/models/test_selective_scan_triton.py::test_on_a_gpu",
)
# of each kind one that the interpreter has in a second; all of them run in the suite itself
REHEARSED = "positions or beside_the_range or gradients_of_gradients or not_finite or equal_keys or gradient_penalty"
SHAPES = ((1, 16_384, 256), (2, 4_096, 256), (5, 1_024, 256), (8, 4_096, 256), (1, 131_072, 2_048))
SMALL = ((2, 600, 40),)
ALLOWED = {torch.float32: (1e-4, 1e-3), torch.bfloat16: (1e-2, 2e-2)}  # of values, of gradients


def run(setting: Setting, section: Section) -> None:
    with section.attempt("tests"):
        tests(setting, section)
    torch.set_default_device("cpu" if setting.rehearse else "cuda")  # of the numbers that tests.models draws
    for shape in SMALL if setting.rehearse else SHAPES:
        for dtype, allowed in ALLOWED.items():
            with section.attempt(f"errors at {shape}"):
                errors(section, shape, dtype, allowed)


def tests(setting: Setting, section: Section) -> None:
    """In a process of their own, which is the first to compile the kernels. Warnings are no errors here."""
    report = setting.work / "kernels.xml"
    report.unlink(missing_ok=True)
    options = ["-q", "-W", "default", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    options += ["-k", REHEARSED] if setting.rehearse else ["-p", "tests.models.on_gpu"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *FILES],
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr, sep="\n")
    if not report.is_file():  # the process did not live to write it
        raise RuntimeError(f"pytest ended with status {done.returncode}\n{done.stdout}\n{done.stderr}")
    passed: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.get("classname", "").rpartition(".")[2]
        outcomes = {child.tag: child for child in case}
        wrong = outcomes.get("failure", outcomes.get("error"))
        if wrong is not None:
            section.failed(f"{file}::{case.get('name')}", wrong.text or wrong.get("message", ""))
        passed[file] += not outcomes.keys() & {"failure", "error", "skipped"}
    for file, number in passed.items():
        section.add(f"tests passed of {file}", "", number)
    if done.returncode and not section.failures:
        raise RuntimeError(done.stdout + done.stderr)


def errors(section: Section, shape: tuple[int, int, int], dtype: torch.dtype, allowed: tuple[float, float]) -> None:
    """Against the definition in float64, from the same rounded numbers, as shares of the largest exact number."""
    heads, queries, keys = shape
    qkv = tuple(x.to(dtype) for x in inputs(1, heads, queries, keys, 32))
    grad = torch.randn(1, heads, queries, 32).to(dtype)
    found = (spline(*qkv), *gradients(spline, qkv, grad))
    right = (exact(*qkv), *gradients(exact, qkv, grad))
    sizes = [distance(x, y) for x, y in zip(found, right, strict=True)]
    where = f"{heads} heads, {queries} x {keys}, {str(dtype).removeprefix('torch.')}"
    for what, size, most in (("values", sizes[0], allowed[0]), ("gradients", max(sizes[1:]), allowed[1])):
        section.add(f"{where}: error of {what}", "", size, f"at most {most:g}")
        if not size <= most:
            section.failed(f"{where}: error of {what}", f"{size:.3g}, {most:g} is allowed")
