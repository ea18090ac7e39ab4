from experiments.gpu.section import Section, Setting


def run(setting: Setting, section: Section) -> None:
    section.add("a figure", "s", 3.0, "at most 4")
    with (setting.work / "quick.txt").open("a") as file:
        file.write("made\n")
