"""Images of messages as files: the right pixels, no wider than asked for, whatever an array holds."""

from __future__ import annotations

import io

import pytest

np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")
Image = pytest.importorskip("PIL.Image", reason="needs ipcpy[web]")

from ipcpy.web.pictures import find_image, show_image  # noqa: E402


def seen(shown):
    """The pixels of a file, as a browser would see them."""
    return np.asarray(Image.open(io.BytesIO(shown.data)).convert("RGB"))


def halves(dtype="u1", channels=3):
    """Black on the left, the last channel full on the right."""
    image = np.zeros((40, 60, channels) if channels else (40, 60), dtype)
    image[:, 30:, ...] = 0 if channels else 255
    if channels:
        image[:, 30:, 0] = 255
    return image


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_are_those_of_the_array(channels):
    image = halves(channels=channels)
    image[:, 30:, 3:] = 255
    shown = show_image(image, 640)
    assert (shown.type, shown.width, shown.height, shown.full, shown.range) == ("image/png", 60, 40, (60, 40), None)
    assert seen(shown)[20, 50].tolist() == [255, 0, 0] and seen(shown)[20, 5].tolist() == [0, 0, 0]


def test_blue_comes_first_where_the_user_says_so():
    assert seen(show_image(halves(), 640, bgr=True))[20, 50].tolist() == [0, 0, 255]


@pytest.mark.parametrize("shape", [(480, 640), (480, 640, 1), (480, 640, 3)])
def test_a_large_image_is_a_jpeg_no_wider_than_asked_for(shape):
    image = np.zeros(shape, "u1")
    image[:, 320:] = 200
    shown = show_image(image, 200)
    assert (shown.type, shown.width, shown.height, shown.full) == ("image/jpeg", 200, 150, (640, 480))
    assert abs(int(seen(shown)[80, 180, 0]) - 200) < 8 and seen(shown)[80, 20, 0] < 8


@pytest.mark.parametrize("dtype", ["<u2", "<f4"])
def test_depth_is_shown_from_its_lowest_to_its_highest(dtype):
    image = np.full((100, 100), 1500, dtype)
    image[:, 50:], image[0, 0] = 2500, 500
    shown = show_image(image, 640)
    assert shown.range == (500.0, 2500.0)
    assert [int(seen(shown)[50, x, 0]) for x in (10, 90)] == [127, 255]


def test_what_is_no_number_in_depth_is_black_and_does_not_count():
    image = np.full((100, 100), 2.0, "<f4")
    image[:, 50:], image[0] = 4.0, np.nan
    image[1] = np.inf
    shown = show_image(image, 640)
    assert shown.range == (2.0, 4.0)
    assert seen(shown)[0, 90, 0] == 0 and seen(shown)[50, 90, 0] == 255


def test_a_depth_image_without_a_number_is_black():
    shown = show_image(np.full((100, 100), np.nan, "<f4"), 640)
    assert shown.range == (0.0, 0.0) and not seen(shown).any()


@pytest.mark.parametrize("dtype", ["?", "i1", "<i4", "<i8", "<f2", "<f8", ">f8", ">u2"])
@pytest.mark.parametrize("channels", [0, 3])
def test_an_array_of_any_numbers_is_shown_where_it_has_the_shape_of_an_image(dtype, channels):
    image = np.zeros((100, 120, channels) if channels else (100, 120), dtype)
    image[:, 60:] = 1
    assert find_image({"mask": image}) is image
    shown = show_image(image, 640)
    assert shown.range == (0.0, 1.0)
    assert [seen(shown)[50, x].tolist() for x in (10, 110)] == [[0, 0, 0], [255, 255, 255]]


def test_colours_of_floats_are_in_the_order_that_the_user_says():
    image = np.zeros((100, 120, 3))
    image[:, 60:, 0] = 1.0
    assert seen(show_image(image, 640, bgr=True))[50, 110].tolist() == [0, 0, 255]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e300, float("inf"), float("nan")])
def test_huge_numbers_and_none_are_shown_without_a_word(value):
    image = np.zeros((100, 100))
    image[0], image[1] = value, -value
    assert (show_image(image, 640).width, show_image(image, 640).height) == (100, 100)


@pytest.mark.parametrize("shape", [(63, 640), (3, 480, 640), (480, 640, 2), (100,), (100, 100, 100, 3)])
def test_an_array_of_another_shape_is_numbers(shape):
    assert find_image(np.zeros(shape)) is None


def test_an_image_of_one_value_is_shown():
    assert show_image(np.full((100, 100), 7, "<u2"), 640).range == (7.0, 7.0)


def jpeg(image, kind="JPEG"):
    into = io.BytesIO()
    Image.fromarray(image).save(into, kind)
    return into.getvalue()


def test_a_jpeg_goes_as_it_is_where_it_fits():
    data = jpeg(halves())
    shown = show_image(data, 640)
    assert (shown.data, shown.type, shown.full) == (data, "image/jpeg", (60, 40))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_that_is_too_wide_is_made_smaller(kind):
    data = np.frombuffer(jpeg(np.zeros((480, 640, 3), "u1"), kind), "u1")
    shown = show_image(data, 160)
    assert (shown.width, shown.height, shown.full) == (160, 120, (640, 480))


@pytest.mark.parametrize("data", [b"\xff\xd8\xff" + b"x" * 100, b"\x89PN" + b"x" * 100, jpeg(halves())[:200]])
def test_a_broken_file_is_said_to_be_one(data):
    with pytest.raises(ValueError, match="cannot be read"):
        show_image(data, 30)


def test_an_image_that_would_fill_memory_is_not_opened():
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    with pytest.raises(ValueError, match="too large|decompression bomb"):
        show_image(bomb.getvalue(), 640)
    with pytest.raises(ValueError, match="too large"):
        show_image(np.broadcast_to(np.uint8(0), (20_000, 20_000)), 640)


@pytest.mark.parametrize(
    "data",
    [np.zeros((2, 2), "u1"), np.zeros((40, 40), "f8"), np.zeros(50), b"text", {"x": 1}, 3, None, np.zeros(0, "u1")],
    ids=lambda data: repr(data)[:30],
)
def test_numbers_are_no_images(data):
    assert find_image(data) is None


def test_the_first_image_of_a_dict_is_found():
    image = halves()
    assert find_image({"at": 3, "image": image, "other": halves()}) is image
    assert find_image(image) is image
    assert find_image({"jpeg": jpeg(image)}) == jpeg(image)
