"""One part in a process of its own: `python -m experiments.gpu.part MODULE SECTION SETTING`, as run.py starts it."""

import importlib
import sys
import time
import traceback
from pathlib import Path

from experiments.gpu.section import DONE, FAILED, SKIPPED, Section, Setting, SkippedError, end_with_parent


def main(module: str, path: Path, setting: Setting) -> int:
    start = time.perf_counter()
    section = Section(module.rpartition(".")[2], path=path)
    try:
        importlib.import_module(module).run(setting, section)
        section.state = FAILED if section.failures else DONE
    except SkippedError as error:
        section.notes.append(str(error))
        section.state = SKIPPED
    except Exception:
        traceback.print_exc()
        section.failures.append(traceback.format_exc().strip())
        section.state = FAILED
    section.seconds = time.perf_counter() - start
    section.save()
    return int(section.state == FAILED)


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Setting.read(sys.argv[3])))
