"""report.json, and report.md from it: what must be reached, the parts, what was skipped and why."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from experiments.gpu.goals import GOALS
from experiments.gpu.parts import Part
from experiments.gpu.section import SKIPPED, Section
from scaseg.benchmark.measurement import record, table, taken_on
from scaseg.errors import UserError
from scaseg.files import check_writable, write_json, write_text
from scaseg.runs.result import git_commit
from scaseg.typed import Json

NOT_MADE = "not made yet"


def machine() -> Json:
    """Date, versions and, of the GPU, what decides speed. UserError without a GPU."""
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            "torch sees no GPU here, and this measures one: python -m experiments.gpu.run --rehearse runs every part in"
            " small on a CPU"
        )
    about = torch.cuda.get_device_properties(0)
    return record("gpu", []) | {
        "capability": f"{about.major}.{about.minor}",
        "memory_gib": round(about.total_memory / 2**30, 1),
        "cuda": torch.version.cuda,
        "commit": git_commit(),
    }


@dataclass
class Report:
    """Of one machine, or of a rehearsal, in one folder."""

    folder: Path
    machine: Json
    rehearsal: bool
    sections: dict[str, Section] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "report.md"

    @classmethod
    def of(cls, folder: Path, rehearsal: bool) -> "Report":
        """That of this folder, or a new one. UserError where it is of another machine or cannot be read."""
        check_writable("output", folder)
        here = record("gpu", []) | {"commit": git_commit()} if rehearsal else machine()
        path = folder / "report.json"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            return cls(folder, here, rehearsal)
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            sections = {one["name"]: Section.read(one) for one in plain["parts"]}
            of = "a rehearsal" if plain["rehearsal"] else plain["machine"]["machine"]["gpu"]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path} is no report of this command ({error}): name another output") from error
        now = "a rehearsal" if rehearsal else here["machine"]["gpu"]
        if of != now:
            raise UserError(f"output={folder} holds the report of {of}, and this is {now}: name another folder")
        return cls(folder, here, rehearsal, sections)

    def state(self, name: str) -> str:
        """Of a part."""
        return self.sections[name].state if name in self.sections else NOT_MADE

    def put(self, section: Section) -> None:
        """Keep what a part measured; one that was skipped takes nothing away that an earlier call measured."""
        about = self.machine
        section.made = f"{about['date']}, torch {about['versions']['torch']}, {about['commit'] or 'no commit'}"
        before = self.sections.get(section.name)
        if section.state != SKIPPED or before is None or not before.rows:
            self.sections[section.name] = section

    def write(self, parts: Sequence[Part]) -> None:
        """Both files, each whole or as it was."""
        sections = [self.sections[part.name].plain() for part in parts if part.name in self.sections]
        plain = {"rehearsal": self.rehearsal, "machine": self.machine, "parts": sections}
        write_json(self.folder / "report.json", plain)
        write_text(self.path, self.markdown(parts))

    def markdown(self, parts: Sequence[Part]) -> str:
        """The report as a page."""
        title = "A rehearsal on a CPU: no figure here means anything" if self.rehearsal else self._title()
        lines = [f"# {title}", "", f"The last call: {taken_on(self.machine)}", ""]
        lines += ["## Must reach", "", *(goal.line(self.sections, self.rehearsal) for goal in GOALS), ""]
        lines += ["## Parts", "", "| part | | state | s | made |", "|--:|---|---|--:|---|"]
        for number, part in enumerate(parts, 1):
            section = self.sections.get(part.name, Section(part.name, NOT_MADE))
            lines.append(f"| {number} | {part.title} | {section.state} | {section.seconds:.0f} | {section.made} |")
        for number, part in enumerate(parts, 1):
            if part.name in self.sections:
                lines += ["", f"## {number}. {part.title}", "", *_section(self.sections[part.name])]
        return "\n".join([*lines, ""])

    def _title(self) -> str:
        about = self.machine
        return (
            f"{about['machine']['gpu']}, {about['memory_gib']} GiB, compute capability {about['capability']},"
            f" CUDA {about['cuda']}"
        )


def _section(section: Section) -> list[str]:
    lines = []
    if section.rows:
        lines += [table(section.name, [asdict(row) for row in section.rows]), ""]
    lines += [f"![{name}]({name})\n" for name in section.pictures]
    lines += [f"- {note}" for note in section.notes]
    for failure in section.failures:
        lines += ["", "Failed:", "", "```", failure, "```"]
    return lines
