from experiments.gpu.section import Section, Setting, SkippedError


def run(setting: Setting, section: Section) -> None:
    for what in ("one", "another"):
        with section.attempt(what):
            raise ValueError(f"{what} cannot be")
    with section.attempt("a third"):
        raise SkippedError("it is not installed")
    section.add("a figure all the same", "x", 1.0)
