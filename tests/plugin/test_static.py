"""The front end's files, and nothing else of the disk."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from tb_gradhealth.plugin import routes

from .board import Board

OUTSIDE = ("routes.py", "__init__.py", "http_api.md", "loader.py")


def status(board: Board, path: str) -> tuple[int, bytes]:
    """Of ``path`` as it stands: urllib would tidy it up."""
    parts = urlsplit(board.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request("GET", f"{parts.path}data/plugin/gradhealth/static/{path}")
    response = connection.getresponse()
    found = response.status, response.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    "way",
    [
        "../{}",
        "%2e%2e/{}",
        "%2e%2e%2f{}",
        "..%5c{}",
        "%252e%252e/{}",
        "assets/../../{}",
        "./../{}",
        "/../{}",
        "../static/../{}",
        "static/../../{}",
    ],
)
def test_there_is_no_way_out_of_the_folder(board: Board, way: str) -> None:
    for name in OUTSIDE:
        code, body = status(board, way.format(name))
        assert code in (404, 400), body[:200]
        assert b"def " not in body
        assert b"HTTP contract" not in body


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "~/.bashrc", "../../../../../../etc/passwd"]
)
def test_absolute_paths_are_files_of_no_front_end(board: Board, path: str) -> None:
    code, body = status(board, path)
    assert code == 404
    assert b"root:" not in body


@pytest.mark.parametrize("path", ["", ".", "assets", "nothing.js", "a%00b", "x" * 5000, "%ff%fe", "a/" * 500])
def test_what_is_no_file_is_404_in_words(board: Board, path: str) -> None:
    code, _ = status(board, path)
    assert code == 404


def test_files_are_served_with_their_type_and_hashed_names_are_kept(
    board: Board, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("static").resolve()
    (folder / "assets").mkdir()
    (folder / "index.js").write_text("export function render() {}")
    (folder / "assets" / "chunk-1a2b.js").write_text("1")
    (folder / "assets" / "index-3c4d.css").write_text("a {}")
    (folder / "secret.js").symlink_to(routes.__file__)
    monkeypatch.setattr(routes, "STATIC", folder)
    names = ("index.js", "assets/chunk-1a2b.js", "assets/index-3c4d.css")
    answers = {name: board.get(f"static/{name}") for name in names}
    types = [answer.headers["Content-Type"].split(";")[0] for answer in answers.values()]
    assert types == ["text/javascript", "text/javascript", "text/css"]
    assert answers["index.js"].body == b"export function render() {}"
    assert "max-age=86400" in answers["assets/chunk-1a2b.js"].headers["Cache-Control"]
    assert "max-age=86400" not in answers["index.js"].headers.get("Cache-Control", "")
    assert board.get("static/secret.js").status == 404, "a link leads out of the folder"
