"""What a benchmark hands out and takes in: facts that each dataset's class states about itself."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A file of the official release.

    `name` is a glob; `places` says where its members go: prefix in the archive -> prefix in the dataset's folder.
    Members under no prefix stay out.
    """

    name: str
    places: Mapping[str, str]


@dataclass(frozen=True)
class Submission:
    """How predictions are handed in: a PNG an image, of the dataset's own ids, at the image's own size.

    `path` has the file's place in the archive, with {name} and {split}; `palette` says that the PNGs are indexed,
    with the classes' colours; `archive` is the kind of archive; `coco` adds COCO's JSON of run lengths.
    """

    path: str = "{name}.png"
    palette: bool = False
    archive: str = "zip"
    coco: bool = False
