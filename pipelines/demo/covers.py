"""Book covers as OCR-VQA would publish them: dataset.json by ASIN, and the pictures as people have them after years.

Of the covers one is a GIF under a .jpg name, one a 1x1 placeholder, one is gone, and one has the leading zero in its
file's name that its key has lost. The layout is that of ocr-vqa.github.io.
"""

import io
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pipelines.demo.draw import RGB
from pipelines.demo.publish import Json, World, write_json
from pipelines.demo.world import COLOURS, KINDS, Colour, seed_of

SPLITS = (1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3)  # of each book in turn: train, val, test
GIF, PLACEHOLDER, MISSING, SHORTENED = 1, 3, 5, 7  # which of the books is which
GENRES = ("Calendars", "Travel", "Romance")
AUTHORS = ("Ada Quill", "Bo Lantern", "Cy Meadow", "Di Harbor")


@dataclass(frozen=True)
class Book:
    """A made-up book: its key in dataset.json, the stem of its cover's file, and what its cover says."""

    key: str
    stem: str
    title: str
    author: str
    genre: str
    colour: Colour
    split: int


def write_covers(world: World, folder: Path) -> None:
    """Writes dataset.json and images/<ASIN>.jpg."""
    books = [book(world, number) for number in range(len(SPLITS))]
    write_json(folder / "dataset.json", {one.key: _row(one) for one in books})
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(books):
        if number != MISSING:
            (folder / "images" / f"{one.stem}.jpg").write_bytes(_file(one, number))


def book(world: World, number: int) -> Book:
    """The book of that number; every second ASIN begins with a zero, every third ends with a letter."""
    rng = random.Random(seed_of(world.seed, number, "book"))
    colour, kind = rng.choice(COLOURS), rng.choice(KINDS)
    digits = f"{rng.randrange(10**7):07d}{number:02d}"
    asin = ("0" if number % 2 else "1") + digits[1:] + ("X" if number % 3 == 2 else "4")
    return Book(
        key=asin.lstrip("0") if number == SHORTENED else asin,
        stem=asin,
        title=f"The {colour.title()} {kind.title()}, Volume {number + 1}",
        author=rng.choice(AUTHORS),
        genre=rng.choice(GENRES),
        colour=colour,
        split=SPLITS[number],
    )


def _row(book: Book) -> Json:
    other = GENRES[GENRES.index(book.genre) - 1]
    asked = {
        "Who wrote this book?": book.author,
        "What is the title of this book?": book.title,
        "What is the genre of this book?": book.genre,
        f"Is this a {book.genre.lower()} book?": "Yes",
        f"Is this a {other.lower()} book?": "No",
    }
    return {
        "imageURL": f"http://images.example.org/I/{book.stem}.jpg",
        "questions": list(asked),
        "answers": list(asked.values()),
        "title": book.title,
        "authorName": book.author,
        "genre": book.genre,
        "split": book.split,
    }


def _file(book: Book, number: int) -> bytes:
    page = Image.new("RGB", (1, 1)) if number == PLACEHOLDER else _cover(book)
    file = io.BytesIO()
    page.save(file, "GIF" if number in (GIF, PLACEHOLDER) else "JPEG")
    return file.getvalue()


def _cover(book: Book) -> Image.Image:
    page = Image.new("RGB", (160, 224), "white")
    pen = ImageDraw.Draw(page)
    pen.rectangle((12, 60, 147, 190), fill=RGB[book.colour])
    for top, text in ((10, book.title), (30, book.author), (200, book.genre)):
        pen.text((12, top), text, fill="black", font=ImageFont.load_default(size=10))
    return page
