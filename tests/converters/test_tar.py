"""Other people's tars: every member where it lies, as tarfile finds it; what no honest archive holds is refused."""

import io
import random
import tarfile
from pathlib import Path

import pytest

from converters._tar import BLOCK, Member, _sum, members
from schemas.errors import SourceError

FORMATS = {"pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT}


def tar(path: Path, files: dict[str, bytes], format: int = tarfile.PAX_FORMAT, mtime: float = 1.5) -> Path:
    with tarfile.open(path, "w", format=format) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), mtime
            archive.addfile(info, io.BytesIO(data))
    return path


def special(path: Path, name: str, kind: bytes, link: str = "") -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        archive.addfile(info)
    return path


def summed(header: bytes) -> bytes:
    """The header with its checksum made right."""
    blank = header[:148] + b" " * 8 + header[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def edited(path: Path, block: int, place: int, field: bytes) -> Path:
    data = bytearray(path.read_bytes())
    header = bytes(data[block * BLOCK : (block + 1) * BLOCK])
    data[block * BLOCK : (block + 1) * BLOCK] = summed(header[:place] + field + header[place + len(field) :])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("mtime", [0, 1.5])
@pytest.mark.parametrize("format", FORMATS)
def test_members_lie_where_tarfile_finds_them(tmp_path: Path, format: str, mtime: float) -> None:
    dice = random.Random(7)
    files = {f"{place:09d}.jpg": dice.randbytes(dice.choice([0, 1, 511, 512, 513, 3000, 9000])) for place in range(40)}
    path = tar(tmp_path / "a.tar", files, FORMATS[format], mtime)
    found = list(members(str(path)))
    with tarfile.open(path) as archive:
        assert found == [Member(one.name, one.offset_data, one.size) for one in archive.getmembers()]
    data = path.read_bytes()
    assert {one.name: data[one.offset : one.offset + one.bytes] for one in found} == files


@pytest.mark.parametrize("header", [bytes(512), b"\x7f" * 512, b"\x80" * 512, b"\xff" * 512, bytes(range(256)) * 2])
def test_a_header_is_summed_whatever_is_in_it(header: bytes) -> None:
    assert _sum(header) == sum(header)


def test_names_and_sizes_of_a_pax_header_win(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("0.jpg")
        info.size, info.pax_headers = 3, {"comment": "caf\u00e9\n=1 2", "size": "3", "path": f"{'0' * 120}.jpg"}
        archive.addfile(info, io.BytesIO(b"abc"))
        archive.addfile(tarfile.TarInfo("1.jpg"))
    edited(path, 2, 124, b"00000000007\0")
    assert list(members(str(path))) == [Member(f"{'0' * 120}.jpg", 3 * BLOCK, 3), Member("1.jpg", 5 * BLOCK, 0)]


def test_a_name_with_a_prefix_a_dot_before_it_and_folders_are_taken_as_they_are_meant(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        folder = tarfile.TarInfo("00000")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in (f"{'a' * 90}/{'b' * 60}.jpg", "./00000/1.json"):
            archive.addfile(tarfile.TarInfo(name))
    assert [one.name for one in members(str(path))] == [f"{'a' * 90}/{'b' * 60}.jpg", "00000/1.json"]


def test_a_size_in_bytes_instead_of_digits_is_read(tmp_path: Path) -> None:
    path = edited(tar(tmp_path / "a.tar", {"0.jpg": b"abc"}, mtime=0), 0, 124, b"\x80" + (3).to_bytes(11, "big"))
    assert list(members(str(path))) == [Member("0.jpg", BLOCK, 3)]


def test_gnus_own_form_has_times_where_the_others_have_a_prefix(tmp_path: Path) -> None:
    path = edited(tar(tmp_path / "a.tar", {"0.jpg": b"abc"}, tarfile.GNU_FORMAT, 0), 0, 345, b"14371573777\0")
    assert list(members(str(path))) == [Member("0.jpg", BLOCK, 3)]


def test_an_empty_tar_has_no_members(tmp_path: Path) -> None:
    assert list(members(str(tar(tmp_path / "a.tar", {})))) == []


@pytest.mark.parametrize(
    "name",
    ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", "./../a.jpg", "a/..", "..", "c:\\a", "c:/a", "\\\\host\\a", "a\\..\\b"],
)
@pytest.mark.parametrize("format", FORMATS)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str, format: str) -> None:
    with pytest.raises(SourceError, match=r"a member is called .*: wanted a name that leads nowhere else"):
        list(members(str(tar(tmp_path / "a.tar", {name: b"x"}, FORMATS[format]))))


ODD = [
    "Read Me.txt",
    "._a.jpg",
    "caf\u00e9.jpg",
    "a//b.jpg",
    ".hidden",
    "a..jpg",
    "...",
    "n" * 120 + ".jpg",
    "\udcff.jpg",
]


@pytest.mark.parametrize("format", FORMATS)
def test_any_other_name_costs_no_other_member(tmp_path: Path, format: str) -> None:
    names = [name for name in ODD if format != "ustar" or len(name) < 100]
    path = tar(tmp_path / "a.tar", {**dict.fromkeys(names, b"x"), "0.jpg": b"abc"}, FORMATS[format])
    *odd, last = members(str(path))
    assert (last.name, last.bytes) == ("0.jpg", 3)
    assert [one.name for one in odd][:-1] == names[:-1]
    assert "\ufffd" in odd[-1].name


def test_the_name_of_a_folder_is_no_files(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        folder = tarfile.TarInfo("00000")
        folder.type, folder.pax_headers = tarfile.DIRTYPE, {"path": "other.jpg", "size": "7"}
        archive.addfile(folder)
        archive.addfile(tarfile.TarInfo("0.jpg"))
    assert [(one.name, one.bytes) for one in members(str(path))] == [("0.jpg", 0)]


def test_a_long_name_is_of_the_next_member_alone_and_no_link_hides_behind_one(tmp_path: Path) -> None:
    path, name = tmp_path / "a.tar", "0" * 120 + ".jpg"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(name))
        archive.addfile(tarfile.TarInfo("1.jpg"))
    assert [one.name for one in members(str(path))] == [name, "1.jpg"]
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(SourceError, match="is no plain file"):
        list(members(str(path)))


def test_a_size_told_before_a_long_name_is_that_of_the_file(tmp_path: Path) -> None:
    path, parts = tmp_path / "a.tar", []
    for format, pax in ((tarfile.PAX_FORMAT, {"size": "3"}), (tarfile.GNU_FORMAT, {})):
        info = tarfile.TarInfo("0.jpg" if pax else "0" * 120 + ".jpg")
        info.size, info.pax_headers = 3, pax
        parts.append(info.tobuf(format)[: -BLOCK if pax else None])
    path.write_bytes(b"".join(parts) + b"abc".ljust(3 * BLOCK, b"\0"))
    edited(path, 4, 124, b"00000000007\0")
    with tarfile.open(path) as archive:
        wanted = [Member(one.name, one.offset_data, one.size) for one in archive.getmembers()]
    assert list(members(str(path))) == wanted == [Member("0" * 120 + ".jpg", 5 * BLOCK, 3)]


def test_a_tar_that_goes_on_after_its_end_is_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"0.jpg": b"abc"}, mtime=0)
    whole = path.read_bytes()
    for after in (whole, bytes(2**21) + whole, b"x", bytes(700) + b"x"):
        path.write_bytes(whole + after)
        with pytest.raises(SourceError, match=r"a\.tar: goes on after its end at 1,024: wanted one tar"):
            list(members(str(path)))
    path.write_bytes(whole + bytes(2**21 + 5))
    assert list(members(str(path))) == [Member("0.jpg", BLOCK, 3)]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"S"])
def test_anything_but_plain_files_and_folders_is_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(SourceError, match=r"'0\.jpg' at 0 is no plain file"):
        list(members(str(special(tmp_path / "a.tar", "0.jpg", kind, "/etc/passwd"))))


def test_a_tar_that_is_cut_anywhere_is_an_error_and_never_fewer_members(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"0.jpg": b"a" * 700, "1.jpg": b"b" * 100})
    whole = path.read_bytes()
    with tarfile.open(path) as archive:
        end = archive.getmembers()[-1].offset_data + BLOCK  # from there on it is zeros
    for length in range(0, end, 53):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match=r"a\.tar: (cut short|not a readable tar)"):
            list(members(str(path)))


def test_damage_in_a_header_is_found(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"0.jpg": b"a" * 700}, mtime=0)
    whole = path.read_bytes()
    for place in (0, 4, 100, 124, 130, 148, 156, 257, 400):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        with pytest.raises(SourceError, match="not a readable tar"):
            list(members(str(path)))


@pytest.mark.parametrize(
    "field", [b"-0000000777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"0000000077x\0", b"7" * 11 + b"\0"]
)
def test_a_size_that_lies_is_refused_and_never_walks_in_circles(tmp_path: Path, field: bytes) -> None:
    path = edited(tar(tmp_path / "a.tar", {"0.jpg": b"abc"}, mtime=0), 0, 124, field)
    with pytest.raises(SourceError, match=r"cut short|not a readable tar"):
        list(members(str(path)))


@pytest.mark.parametrize(
    "record", ["13 size=-512\n", "16 size=9999999\n", "9 size=x\n", "99 a=b\n", "0 a=b\n", "2 \n", "a=b\n"]
)
def test_a_pax_header_that_lies_is_refused(tmp_path: Path, record: str) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        told = tarfile.TarInfo("PaxHeader")
        told.type, told.size = tarfile.XHDTYPE, len(record)
        archive.fileobj.write(told.tobuf(tarfile.USTAR_FORMAT) + record.encode().ljust(BLOCK, b"\0"))  # type: ignore[union-attr]
        archive.addfile(tarfile.TarInfo("0.jpg"))
    with pytest.raises(SourceError, match=r"a\.tar: (cut short|not a readable tar|not a PAX header)"):
        list(members(str(path)))


@pytest.mark.parametrize("data", [b"", b"<html>" * 200, b"x"])
def test_what_is_no_tar_says_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.tar: (cut short|not a readable tar)"):
        list(members(str(path)))
