from experiments.gpu.section import Section, Setting, SkippedError


def run(setting: Setting, section: Section) -> None:
    raise SkippedError("no CamVid: give carry=FOLDER")
