"""Files from the upload folder: nothing outside it is opened, and nothing in it holds a call up."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import anyio
import pytest

from roadster_tools import UploadFolder
from roadster_tools.failures import InvalidArguments
from tests.servers import PATIENCE

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")]


@pytest.fixture(params=["by descriptor", "as on Windows"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UploadFolder:
    """An upload folder with a file in a folder of its own, beside a file that nobody may upload."""
    if request.param == "as on Windows":
        monkeypatch.setattr(os, "supports_dir_fd", set())
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "uploads" / "deal").mkdir(parents=True)
    (tmp_path / "uploads" / "deal" / "form.pdf").write_bytes(b"form")
    return UploadFolder(tmp_path / "uploads")


async def problem_of(folder: UploadFolder, path: str) -> str:
    with anyio.fail_after(PATIENCE), pytest.raises(InvalidArguments) as error:
        await folder.read(path)
    return str(error.value)


@pytest.mark.parametrize("path", ["deal/form.pdf", "./deal//form.pdf", "{}/deal/form.pdf"])
async def test_file_below_the_folder_is_read(path: str, folder: UploadFolder) -> None:
    assert await folder.read(path.format(folder.folder)) == b"form"


async def test_folder_behind_a_link_of_the_operator_is_read(folder: UploadFolder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder.folder)
    assert await UploadFolder(tmp_path / "link").read("deal/form.pdf") == b"form"


@pytest.mark.parametrize(
    "path", ["../secret", "deal/../../secret", "", ".", "/", "nothing", "a\0b", "\ud800", "x" * 5000, "deal/form.pdf/x"]
)
async def test_path_elsewhere_names_no_file(path: str, folder: UploadFolder) -> None:
    assert "there is no such file in the upload folder" in await problem_of(folder, path)


@pytest.mark.reliability("a link in the upload folder", "not followed; the file is not found")
async def test_links_are_not_followed(folder: UploadFolder, tmp_path: Path) -> None:
    (folder.folder / "file").symlink_to(tmp_path / "secret")
    (folder.folder / "folder").symlink_to(tmp_path)
    (folder.folder / "inside").symlink_to(folder.folder / "deal" / "form.pdf")
    for path in ("file", "folder/secret", "inside"):
        assert "links are not followed" in await problem_of(folder, path)


@pytest.mark.reliability("a pipe or a folder instead of a file to upload", "refused without waiting")
async def test_what_is_no_plain_file_is_refused_at_once(folder: UploadFolder) -> None:
    os.mkfifo(folder.folder / "pipe")
    for path in ("pipe", "deal"):
        assert "is no plain file; name one" in await problem_of(folder, path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder.folder / "socket"))
        assert "there is no such file" in await problem_of(folder, "socket")


@pytest.mark.reliability("a file to upload that cannot be read", "an error of the argument")
@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no such file here")
async def test_file_that_cannot_be_read_is_an_error_of_the_argument() -> None:
    """The start of a process's memory is a plain file, and its first byte cannot be read."""
    assert "let the server's user read it" in await problem_of(UploadFolder(Path("/proc/self")), "mem")


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read all")
async def test_file_of_another_user_is_an_error_of_the_argument(folder: UploadFolder) -> None:
    (folder.folder / "deal" / "form.pdf").chmod(0)
    assert "let the server's user read it" in await problem_of(folder, "deal/form.pdf")


@pytest.mark.reliability("a file that becomes a link while it is opened", "nothing outside is read")
async def test_race_with_a_link_reads_nothing_outside(folder: UploadFolder, tmp_path: Path) -> None:
    """Somebody exchanges the folder and the file for links all the time."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "form.pdf").write_bytes(b"secret")
    deal, end = folder.folder / "deal", threading.Event()

    def exchange() -> None:
        while not end.is_set():
            deal.rename(tmp_path / "away")
            deal.symlink_to(tmp_path / "elsewhere")
            deal.unlink()
            (tmp_path / "away").rename(deal)

    contents = set()
    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for _ in range(300):
            try:
                contents.add(await folder.read("deal/form.pdf"))
            except InvalidArguments:
                contents.add(b"refused")
    finally:
        end.set()
        thread.join()
    assert b"secret" not in contents
