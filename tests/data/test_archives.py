"""Archives: restartable, nothing overwritten, nothing outside the folder, damage named."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from scaseg.data.archives import unpack
from tests.data.test_folder import says

FILES = {"top/a.txt": b"one" * 500, "top/sub/b.txt": b"two", "README": b"left out"}
PLACES = {"top/": "", "top/sub/": "never: the first prefix wins"}


def make(path: Path, files: dict[str, bytes], link: str | None = None) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
            if link:
                info = zipfile.ZipInfo(link)
                info.external_attr = 0o120777 << 16
                packed.writestr(info, "/etc/passwd")
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            packed.addfile(info)
    return path


@pytest.fixture(params=["a.zip", "a.tar", "a.tgz"])
def archive(request, tmp_path):
    return tmp_path / request.param


def test_unpacks_what_is_wanted_and_goes_on_where_it_stopped(archive, tmp_path):
    make(archive, FILES)
    seen = []
    folder = tmp_path / "to"
    assert unpack(archive, PLACES, folder, lambda done, total: seen.append((done, total))) == (2, 0)
    assert (folder / "a.txt").read_bytes() == FILES["top/a.txt"]
    assert (folder / "sub/b.txt").read_bytes() == b"two"
    assert seen[-1] == (1503, 1503)
    assert not (folder / "README").exists()
    (folder / "a.txt").unlink()
    (folder / "sub/b.txt.part").write_text("of a run that was cut off")
    assert unpack(archive, PLACES, folder) == (1, 1)


def test_nothing_is_overwritten(archive, tmp_path):
    make(archive, FILES)
    (tmp_path / "to/sub").mkdir(parents=True)
    (tmp_path / "to/sub/b.txt").write_text("mine, and of another length")
    with says("sub/b.txt is there with 27 bytes", "3 for it", "nothing is overwritten"):
        unpack(archive, PLACES, tmp_path / "to")
    assert [path.name for path in (tmp_path / "to").rglob("*")] == ["sub", "b.txt"]


@pytest.mark.parametrize("name", ["top/../../evil", "/evil", "../evil", "top/..", "C:/evil", "top\\..\\evil"])
def test_members_that_would_leave_the_folder(archive, tmp_path, name):
    make(archive, {**FILES, name: b"x"})
    with says(archive.name, "would leave", "nothing of this archive was unpacked"):
        unpack(archive, PLACES, tmp_path / "to")
    assert not (tmp_path / "to").exists()
    assert not list(tmp_path.parent.glob("evil"))


def test_links_are_refused(archive, tmp_path):
    make(archive, FILES, link="top/link")
    with says("top/link is a link or device"):
        unpack(archive, PLACES, tmp_path / "to")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("planted", ["folder", "file", "dangling", "part"])
def test_nothing_is_written_through_links(archive, tmp_path, planted):
    make(archive, FILES)
    folder, outside = tmp_path / "to", tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"mine")
    folder.mkdir()
    if planted == "folder":
        (folder / "sub").symlink_to(outside)
    else:
        (folder / "sub").mkdir()
        name = "b.txt.part" if planted == "part" else "b.txt"
        (folder / "sub" / name).symlink_to(outside / ("new" if planted == "dangling" else "victim"))
    if planted == "part":  # stands in nobody's way
        assert unpack(archive, PLACES, folder) == (2, 0)
        assert not (folder / "sub/b.txt").is_symlink()
    else:
        said = ["b.txt is there with 4 bytes"] if planted == "file" else ["to/sub", "is a symbolic link", "nothing"]
        with says(*said):
            unpack(archive, PLACES, folder)
        assert not (folder / "a.txt").exists()
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"victim": b"mine"}


def test_the_folder_itself_may_be_a_link(archive, tmp_path):
    make(archive, FILES)
    (tmp_path / "disk").mkdir()
    (tmp_path / "to").symlink_to(tmp_path / "disk")
    assert unpack(archive, PLACES, tmp_path / "to") == (2, 0)
    assert (tmp_path / "disk/sub/b.txt").read_bytes() == b"two"
    (tmp_path / "disk/sub").rename(tmp_path / "moved")
    (tmp_path / "disk/sub").symlink_to(tmp_path / "moved")
    assert unpack(archive, PLACES, tmp_path / "to") == (0, 2)  # nothing is missing, so nothing is written


def test_damage_is_named(archive, tmp_path):
    make(archive, {f"top/{i}": bytes([i]) * 5000 for i in range(40)})
    whole = archive.read_bytes()
    for length in (0, 10, len(whole) // 2):
        archive.write_bytes(whole[:length])
        with says(archive.name, "download it again"):
            unpack(archive, {"top/": ""}, tmp_path / "to")
    if archive.suffix == ".zip":
        at = whole.find(b"top/3") + 20
        archive.write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
        with says(archive.name, "damaged"):
            unpack(archive, {"top/": ""}, tmp_path / "to")
        assert not (tmp_path / "to/3").exists()
    archive.write_bytes(whole)
    assert sum(unpack(archive, {"top/": ""}, tmp_path / "to")) == 40


def test_a_folder_that_cannot_be_written_is_named(archive, tmp_path):
    make(archive, FILES)
    (tmp_path / "to").mkdir()
    (tmp_path / "to/sub").write_text("no folder")
    with says("to/sub", "is not unpacked"):
        unpack(archive, PLACES, tmp_path / "to")


def test_another_archive_is_no_archive_of_this_dataset(archive, tmp_path):
    make(archive, FILES)
    with says("holds nothing under other/"):
        unpack(archive, {"other/": ""}, tmp_path / "to")
