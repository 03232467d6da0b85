"""Emoji scenes: two small pictures on a noisy background, and one sentence that says which they are and how they lie.

Where the objects are is known, so attention can be scored (`pointing`).  Scenes are drawn by `SceneTask`, or built by hand:

    scene = Scene().place("bird", x=22, y=6).place("wave", x=24, y=38)
    scene.caption    # 'a bird above a wave'
    scene.picture()  # (64, 64, 3), float32 in [0, 1]

There are 48 objects of two artists, 20 × 20 pixels each (data/EMOJI.md).  Training and test show the same 96 small pictures; what is
new in a test is the sentence: none of its captions was ever trained on.  A stricter test draws the objects of an artist never seen.
Only NumPy here.
"""

from __future__ import annotations

import difflib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy
import numpy.typing

from tinymem.tasks.algorithms import require_size
from tinymem.tasks.programs import SPLITS, Split

Floats = numpy.typing.NDArray[numpy.float32]
Numbers = numpy.typing.NDArray[numpy.int64]

SIZE = 64  # pixels of a side of a picture
OBJECT = 20  # pixels of a side of an object
FURTHEST = SIZE - OBJECT  # largest x and y of an object inside the picture
DECISIVE = 8  # pixels by which one of |dx| and |dy| exceeds the other in a drawn scene, so that its caption is beyond doubt

ARTISTS = ("noto", "twemoji")
END = "<end>"
GRAMMAR = (END, "a", "an", "some", "above", "left", "of")
PLURAL = frozenset({"grapes"})
OF_TEN: tuple[Split, ...] = ("validation", "test", *(("train",) * 8))  # the splits of ten captions
ATTEMPTS = 10_000  # one caption of ten lies in the test, one of two places will do: that often without a scene is never


class SceneError(ValueError):
    """A scene, word or picture that cannot be; the message says why and what would do."""


# --- the small pictures ---


@dataclass(frozen=True)
class Emoji:
    """The shipped pictures: what they show, and for each artist their colours and opacity."""

    words: tuple[str, ...]
    pictures: dict[str, Floats]  # (48, 20, 20, 4), red, green, blue and opacity in [0, 1]


@cache
def emoji() -> Emoji:
    """The 48 objects, read once."""
    with (resources.files("tinymem.tasks") / "data" / "emoji48_20px.npz").open("rb") as file:
        arrays = numpy.load(file, allow_pickle=False)
        pictures = {artist: (arrays[artist] / 255.0).astype(numpy.float32) for artist in ARTISTS}
        return Emoji(tuple(arrays["word"].tolist()), pictures)


def object_number(word: str) -> int:
    """The class of an object; SceneError with the nearest names if there is no such object."""
    words = emoji().words
    if word not in words:
        near = [name for name in words if isinstance(word, str) and word in name.split()]
        near = near or difflib.get_close_matches(str(word), words, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"the objects are: {', '.join(words)}"
        raise SceneError(f"there is no object {word!r}; {hint}")
    return words.index(word)


# --- words ---


@cache
def vocabulary() -> tuple[str, ...]:
    """All words of all captions; a word's number is its place.  `<end>` closes a caption and is also what is read before its first word."""
    return GRAMMAR + tuple(dict.fromkeys(part for word in emoji().words for part in word.split()))


def encode(words: Iterable[str]) -> list[int]:
    """Words as numbers; SceneError for one that no caption has."""
    known = vocabulary()
    words = list(words)
    unknown = [word for word in words if word not in known]
    if unknown:
        raise SceneError(f"no caption has the word {unknown[0]!r}; the {len(known)} words are: {', '.join(known)}")
    return [known.index(word) for word in words]


def decode(numbers: Iterable[int]) -> list[str]:
    """Numbers as words: the inverse of `encode`."""
    return [vocabulary()[number] for number in numbers]


def named(word: str) -> list[str]:
    """An object as a caption names it: with its article."""
    return ["some" if word in PLURAL else "an" if word[0] in "aeiou" else "a", *word.split()]


# --- scenes ---


@dataclass(frozen=True)
class Placed:
    """One object of a scene; x and y are the pixels to the left of it and above it."""

    word: str
    x: int
    y: int
    artist: str = "noto"

    def __post_init__(self) -> None:
        object_number(self.word)
        if self.artist not in ARTISTS:
            raise SceneError(f"the artists are {' and '.join(ARTISTS)}, got {self.artist!r}")
        if any(not isinstance(place, (int, numpy.integer)) or not 0 <= place <= FURTHEST for place in (self.x, self.y)):
            raise SceneError(
                f"{self.word} at x = {self.x}, y = {self.y} does not lie inside the picture: an object has {OBJECT} × {OBJECT} pixels, the "
                f"picture {SIZE} × {SIZE}, so x and y of its upper left corner are whole numbers in 0 … {FURTHEST}"
            )

    def overlaps(self, other: Placed) -> bool:
        return abs(self.x - other.x) < OBJECT and abs(self.y - other.y) < OBJECT


@dataclass(frozen=True)
class Scene:
    """Up to two objects on a background; `place` returns a scene with one object more.

    The caption names the upper object first ("above") if the objects are further apart in y than in x, else the left one ("left of").
    """

    objects: tuple[Placed, ...] = ()
    background: int = 0
    """seed of the background"""

    def place(self, word: str, x: int, y: int, artist: str = "noto") -> Scene:
        """This scene and an object with its upper left corner at (x, y), counted in pixels from the upper left corner of the picture."""
        new = Placed(word, x, y, artist)
        if len(self.objects) == 2:
            raise SceneError(f"a scene has two objects, and this one has its: {self.caption}; begin another with Scene()")
        for old in self.objects:
            if new.overlaps(old):
                raise SceneError(
                    f"{word} at x = {x}, y = {y} overlaps {old.word} at x = {old.x}, y = {old.y}: "
                    f"move one of them until they are {OBJECT} pixels apart in x or in y"
                )
        return replace(self, objects=(*self.objects, new))

    def picture(self) -> Floats:
        """The picture: height, width, colours."""
        canvas = background(self.background)
        for one in self.objects:
            painted = emoji().pictures[one.artist][object_number(one.word)]
            colour, opacity = painted[..., :3], painted[..., 3:]
            part = canvas[one.y : one.y + OBJECT, one.x : one.x + OBJECT]
            part[...] = colour * opacity + part * (1 - opacity)
        levels: Floats = numpy.rint(canvas * 255)  # so that it survives being saved with 8 bits a colour
        return levels / numpy.float32(255)

    @property
    def in_order(self) -> tuple[int, int]:
        """The numbers of the objects as the caption names them."""
        first, second = self._pair()
        before = first.y < second.y if self.is_above else first.x < second.x
        return (0, 1) if before else (1, 0)

    @property
    def is_above(self) -> bool:
        """Are the objects further apart in y than in x?"""
        first, second = self._pair()
        return abs(first.y - second.y) > abs(first.x - second.x)

    @property
    def is_decisive(self) -> bool:
        """Is it beyond doubt which of the two relations holds?"""
        first, second = self._pair()
        return abs(abs(first.y - second.y) - abs(first.x - second.x)) >= DECISIVE

    @property
    def words(self) -> tuple[str, ...]:
        """The caption, word by word."""
        return tuple(word for word, _ in self._told())

    @property
    def about(self) -> tuple[int, ...]:
        """For each word of the caption the number of the object it names, -1 for a word that names none."""
        return tuple(number for _, number in self._told())

    @property
    def caption(self) -> str:
        return " ".join(self.words)

    def _pair(self) -> tuple[Placed, ...]:
        if len(self.objects) != 2:
            raise SceneError(f"a caption needs two objects, this scene has {len(self.objects)}: add one with .place(word, x, y)")
        return self.objects

    def _told(self) -> list[tuple[str, int]]:
        first, second = self.in_order
        relation = [(word, -1) for word in (("above",) if self.is_above else ("left", "of"))]
        return [*self._name(first), *relation, *self._name(second)]

    def _name(self, number: int) -> list[tuple[str, int]]:
        article, *nouns = named(self.objects[number].word)
        return [(article, -1), *((noun, number) for noun in nouns)]


def background(seed: int) -> Floats:
    """Four colours that flow into one another from the corners, and noise."""
    rng = numpy.random.default_rng(seed)
    corners = rng.uniform(0.15, 0.85, (2, 2, 3)).astype(numpy.float32)
    noise = rng.random((SIZE, SIZE, 3), numpy.float32) - numpy.float32(0.5)
    ramp = numpy.linspace(0, 1, SIZE, dtype=numpy.float32)
    towards = numpy.stack([1 - ramp, ramp])  # (2, SIZE)
    down = numpy.tensordot(towards.T, corners, 1)  # (SIZE, 2, 3)
    flowing = numpy.tensordot(down, towards, ((1,), (0,))).swapaxes(1, 2)  # (SIZE, SIZE, 3)
    return numpy.clip(flowing + numpy.float32(0.2) * noise, 0, 1)


def pictures_of(scenes: Sequence[Scene]) -> Floats:
    """The pictures of scenes, (batch, 64, 64, 3)."""
    return numpy.stack([scene.picture() for scene in scenes])


def require_pictures(pictures: Any) -> Floats:
    """A picture, or several, as (batch, 64, 64, 3) float32; SceneError says what does not fit."""
    array = numpy.asarray(pictures)
    if array.ndim not in (3, 4) or array.shape[-3:] != (SIZE, SIZE, 3):
        raise SceneError(f"a picture has {SIZE} × {SIZE} pixels of 3 colours, shape ({SIZE}, {SIZE}, 3); got shape {array.shape}")
    if array.dtype.kind != "f":
        raise SceneError(f"the colours of a picture are floats in 0 … 1, got {array.dtype}; write picture / 255 for bytes")
    if array.size and not (array.min() >= 0 and array.max() <= 1):  # said so that NaN is refused too
        raise SceneError(f"the colours of a picture lie in 0 … 1, got {array.min():.3g} … {array.max():.3g}")
    return array.reshape(-1, SIZE, SIZE, 3).astype(numpy.float32)


# --- drawing scenes ---


@cache
def shown() -> dict[str, Scene]:
    """The four pictures of the lecture as scenes; no training scene has one of their captions."""
    return {
        "stop sign": Scene(background=1).place("stop sign", 8, 24).place("red car", 38, 28),
        "mountain": Scene(background=2).place("mountain", 20, 6).place("house", 26, 38),
        "bird": Scene(background=3).place("bird", 18, 4).place("wave", 26, 36),
        "man": Scene(background=4).place("man", 6, 20).place("phone", 36, 26),
    }


def split_of(caption: str) -> Split:
    """The split a caption belongs to, for ever and on every machine: eight of ten are trained on; those of `shown` are of the test."""
    if any(caption == scene.caption for scene in shown().values()):
        return "test"
    return OF_TEN[zlib.crc32(caption.encode()) % 10]


@dataclass(frozen=True)
class SceneTask:
    """Scenes of two different objects at free places, neither overlapping nor of a doubtful caption, each drawn by an artist at random."""

    artist: Literal["both", "noto", "twemoji"] = "both"
    """whose objects: one artist's for the test on the other's"""

    def __post_init__(self) -> None:
        if self.artist not in ("both", *ARTISTS):
            raise SceneError(f"artist must be 'both', 'noto' or 'twemoji', got {self.artist!r}")

    @property
    def artists(self) -> tuple[str, ...]:
        return ARTISTS if self.artist == "both" else (self.artist,)

    def scene(self, rng: numpy.random.Generator, split: Split = "train") -> Scene:
        """One scene whose caption belongs to `split`."""
        if split not in SPLITS:
            raise SceneError(f"the splits are {', '.join(SPLITS)}, got {split!r}")
        words = emoji().words
        for _ in range(ATTEMPTS):
            x, y, other_x, other_y = rng.integers(0, FURTHEST + 1, 4).tolist()
            one, step = rng.integers(0, (len(words), len(words) - 1)).tolist()
            objects = Placed(words[one], x, y), Placed(words[one - 1 - step], other_x, other_y)
            found = Scene(objects)
            if not objects[0].overlaps(objects[1]) and found.is_decisive and split_of(found.caption) == split:
                *drawn, seed = rng.integers(0, (len(self.artists), len(self.artists), 2**32)).tolist()
                drawn_by = [replace(placed, artist=self.artists[which]) for placed, which in zip(objects, drawn, strict=True)]
                return Scene(tuple(drawn_by), seed)
        raise AssertionError(f"no scene of the split {split} in {ATTEMPTS} attempts")

    def scenes(self, rng: numpy.random.Generator, size: int, split: Split = "train") -> list[Scene]:
        """`size` scenes of one split."""
        require_size("emoji scenes", size)
        return [self.scene(rng, split) for _ in range(size)]


@dataclass(frozen=True)
class CaptionBatch:
    """Captions side by side, time first; behind its end a shorter one is filled up with `<end>`, where nothing counts."""

    inputs: Numbers  # (time, batch), the word before, `<end>` before the first
    targets: Numbers  # (time, batch), the word
    mask: Floats  # (time, batch), 1 where the word counts: the caption and its `<end>`

    @property
    def lengths(self) -> Numbers:
        """Words of each caption with its `<end>`."""
        lengths: Numbers = self.mask.sum(0).astype(numpy.int64)
        return lengths


def captions_of(scenes: Sequence[Scene], time: int | None = None) -> CaptionBatch:
    """The captions of scenes for teacher forcing, filled up to `time` steps (the longest caption unless given)."""
    require_size("captions", len(scenes))
    told = [encode([*scene.words, END]) for scene in scenes]
    longest = max(map(len, told))
    if time is not None and time < longest:
        raise SceneError(f"the longest of these captions has {longest} words with its {END}, more than time = {time}")
    targets = numpy.zeros((time or longest, len(told)), numpy.int64)
    mask = numpy.zeros(targets.shape, numpy.float32)
    for lane, numbers in enumerate(told):
        targets[: len(numbers), lane] = numbers
        mask[: len(numbers), lane] = 1
    inputs = numpy.concatenate([numpy.zeros_like(targets[:1]), targets[:-1]])
    return CaptionBatch(inputs, targets, mask)


@cache
def longest_caption() -> int:
    """Words of the longest caption there can be, with its `<end>`."""
    first, second = sorted((len(named(word)) for word in emoji().words), reverse=True)[:2]
    return first + 2 + second + 1


# --- crops: what the encoder is trained on first ---


@dataclass(frozen=True)
class Crops:
    """Pieces of scenes with one whole object in each."""

    pictures: Floats  # (batch, side, side, 3)
    classes: Numbers  # (batch,), the number of the object


@dataclass(frozen=True)
class CropTask:
    """Square pieces of scenes: one object wholly inside, anywhere; a part of the other may reach into the piece."""

    scenes: SceneTask = field(default_factory=SceneTask)
    side: int = 32
    """pixels of a side of a piece"""

    def __post_init__(self) -> None:
        if type(self.side) is not int or not OBJECT <= self.side < 2 * OBJECT:
            raise SceneError(f"a crop with one whole object has a side of {OBJECT} … {2 * OBJECT - 1} pixels, got {self.side}")

    @property
    def classes(self) -> int:
        """How many objects there are."""
        return len(emoji().words)

    def batch(self, rng: numpy.random.Generator, size: int, split: Split = "train") -> Crops:
        """`size` pieces of scenes of one split."""
        require_size("crops", size)
        pieces, classes = [], []
        for scene in self.scenes.scenes(rng, size, split):
            one = scene.objects[int(rng.integers(2))]
            left, top = (int(rng.integers(max(0, at + OBJECT - self.side), min(at, SIZE - self.side) + 1)) for at in (one.x, one.y))
            pieces.append(scene.picture()[top : top + self.side, left : left + self.side])
            classes.append(object_number(one.word))
        return Crops(numpy.stack(pieces), numpy.array(classes))
