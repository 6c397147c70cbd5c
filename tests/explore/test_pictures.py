import io
import struct

import numpy as np
import photographs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps

from halfgen_lib.data import halves, join, to_unit
from halfgen_lib.explore.pictures import PictureError, to_pose

few = settings(max_examples=25, deadline=None)
SIDES = ("left", "right", "top", "bottom")


def photo(width=90, height=60, ground=240, thing=40):
    """A grey picture of one plain rectangle, 40 × 20, on a plain ground."""
    pixels = np.full((height, width), ground, dtype=np.uint8)
    pixels[10:30, 20:60] = thing
    return pixels


def known_mask(side):
    """Which pixels of an image (28, 28) are known."""
    return join(torch.ones(28, 14), torch.zeros(28, 14), side).bool()


def file_of(picture, path, **options):
    Image.fromarray(picture).save(path, **options)
    return path


# ---- what is in the pose already


@pytest.mark.parametrize("side", [None, *SIDES])
def test_images_of_the_data_set_pass_bit_for_bit(sample, side):
    for image in sample.test.images:
        posed, notes = to_pose(image, side)
        assert torch.equal(posed, to_unit(image)[None])
    assert notes == ["took it as it is: 28 × 28, grey, bright on dark"]


@few
@given(st.data())
def test_of_a_whole_image_the_known_half_alone_decides(data):
    side = data.draw(st.sampled_from(SIDES))
    one, other = (data.draw(arrays(np.uint8, (28, 28, 3))) for _ in range(2))
    known = known_mask(side).numpy()
    other[known] = one[known]
    first, second = (halves(to_pose(image, side)[0], side)[0] for image in (one, other))
    assert torch.equal(first, second)


@pytest.mark.parametrize("side", SIDES)
def test_a_half_alone_is_the_half_of_the_whole(sample, side):
    image, known = sample.test.images[0], known_mask(side)
    half = image[:, known].reshape((28, 14) if side in ("left", "right") else (14, 28))
    posed, notes = to_pose(half, side)
    assert torch.equal(posed, torch.where(known, to_unit(image)[None], 0))
    assert notes == [f"took it as the {side} half"]
    for other in set(SIDES) - {side}:
        if sorted((side, other)) in (["left", "right"], ["bottom", "top"]):
            continue
        with pytest.raises(PictureError, match=f"half, but given is '{other}'"):
            to_pose(half, other)


@pytest.mark.parametrize("side", [None, *SIDES])
def test_a_negative_is_turned_back(sample, side):
    image = sample.test.images[3]
    posed, notes = to_pose(255 - image, side)
    torch.testing.assert_close(posed, to_unit(image)[None])
    assert notes == ["inverted it: its corners are bright"]


# ---- the same pixels, whatever holds them


@few
@given(arrays(np.uint8, st.tuples(st.integers(20, 70), st.integers(20, 70), st.just(3))))
def test_tensor_array_pillow_and_file_agree(pixels):
    pixels[5:12, 6:9] //= 4  # something to be seen
    pixels[:3], pixels[-3:] = 250, 250
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    array, notes = to_pose(pixels)
    sources = (
        Image.fromarray(pixels),
        Image.open(content),
        torch.from_numpy(pixels).permute(2, 0, 1),
        torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255,
    )
    for source in sources:
        image, same = to_pose(source)
        torch.testing.assert_close(image, array, atol=2e-6, rtol=0)
        assert same == notes
    assert array.dtype == torch.float32 and array.shape == (1, 1, 28, 28)
    assert array.min() >= 0 and array.max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK", "F", "I"])
def test_modes_of_pillow_show_the_same_grey_picture(mode):
    grey = Image.fromarray(photo())
    if mode == "F":
        image = Image.fromarray(photo().astype(np.float32) / 255)
    elif mode == "I":
        image = Image.fromarray(photo().astype(np.int32) * 257)
    else:
        image = grey.convert(mode)
    torch.testing.assert_close(to_pose(image)[0], to_pose(grey)[0], atol=1e-6, rtol=0)


def test_files_of_16_bit_palette_and_one_bit(tmp_path):
    expected = to_pose(photo())[0]
    wide = file_of(photo().astype(np.uint16) * 257, tmp_path / "wide.png")
    torch.testing.assert_close(to_pose(wide)[0], expected, atol=1e-6, rtol=0)
    Image.fromarray(photo()).quantize(4).save(tmp_path / "palette.gif")
    torch.testing.assert_close(to_pose(tmp_path / "palette.gif")[0], expected, atol=0.01, rtol=0)
    Image.fromarray(photo() > 100).save(tmp_path / "bits.png")
    image, notes = to_pose(str(tmp_path / "bits.png"))
    assert set(image.unique().tolist()) == {0, 1} and "darkened" not in " ".join(notes)


def test_exif_orientation_is_followed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    lying = file_of(photo(), tmp_path / "lying.png", exif=exif)
    image, notes = to_pose(lying)
    upright, _ = to_pose(np.rot90(photo(), -1))
    assert torch.equal(image, upright) and "turned it as its EXIF orientation says" in notes
    assert not torch.equal(image, to_pose(photo())[0])


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.fromarray(photo(thing=thing)) for thing in (40, 120)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    image, notes = to_pose(tmp_path / "moving.gif")
    torch.testing.assert_close(image, to_pose(photo())[0], atol=0.01, rtol=0)
    assert notes[0] == "took frame 1 of 2"


# ---- what is done to pictures of other sizes


def test_a_product_photograph_is_trimmed_scaled_centred_and_inverted():
    image, notes = to_pose(photo(ground=255, thing=55))
    expected = torch.zeros(28, 28)
    expected[7:21] = 200 / 255  # 40 × 20 becomes 28 × 14
    torch.testing.assert_close(image[0, 0], expected)
    assert notes == [
        "inverted it: its corners are brighter than what stands out from them",
        "trimmed it from 90 × 60 to 40 × 20",
        "scaled it from 40 × 20 to 28 × 14 and centred it",
    ]


@few
@given(st.integers(0, 255), st.integers(0, 255))
def test_the_ground_becomes_black_and_the_thing_bright(ground, thing):
    if abs(ground - thing) <= 0.05 * 255:
        with pytest.raises(PictureError, match="nothing is to be seen"):
            to_pose(photo(ground=ground, thing=thing))
        return
    image = to_pose(photo(ground=ground, thing=thing))[0][0, 0]
    away = ground if thing < ground else 255 - ground  # the ground's distance from black
    torch.testing.assert_close(
        image[7:21], torch.full((14, 28), abs(ground - thing) / max(away, 1)), atol=1e-4, rtol=0
    )
    assert not image[:7].any() and not image[21:].any()


def test_turned_or_mirrored_pictures_give_turned_or_mirrored_poses():
    pixels = photo(91, 67)
    pixels[12:40, 20:30] = 90
    image = to_pose(pixels)[0]
    for turn in (np.fliplr, np.flipud, np.transpose):
        expected = torch.from_numpy(turn(image[0, 0].numpy()).copy())
        found = to_pose(turn(pixels))[0][0, 0]
        # an odd margin cannot be centred: there it may be off by one
        shifted = (found, found.roll(1, 0), found.roll(1, 1), found.roll(-1, 0), found.roll(-1, 1))
        assert min((each - expected).abs().max() for each in shifted) < 1e-5


def test_behind_transparency_lies_the_ground_that_shows_the_object():
    for grey, name, bright in ((20, "white", 235), (250, "black", 250)):
        pixels = np.zeros((60, 90, 4), dtype=np.uint8)
        pixels[10:30, 20:60] = (grey, grey, grey, 255)
        image, notes = to_pose(pixels)
        assert notes[0] == f"put {name} behind what is transparent"
        assert image.max() == pytest.approx(bright / 255, abs=1e-5) and not image[0, 0, :7].any()
    pixels[..., 3] = 255
    pixels[10:30, 20:60, 1] = 100
    assert to_pose(pixels)[1][0] == "made grey of its colours"


def test_a_thin_line_is_still_to_be_seen():
    pixels = np.zeros((5, 4000), dtype=np.uint8)
    pixels[2, 100:3900] = 255
    assert to_pose(pixels)[0].max() > 0.1


def test_a_cameras_noise_does_not_hide_the_edges():
    clean = np.full((600, 900), 240 / 255, dtype=np.float32)
    clean[100:300, 200:600] = 40 / 255
    noise = np.random.default_rng(0).normal(0, 0.03, clean.shape).astype(np.float32)
    image, notes = to_pose((clean + noise).clip(0, 1))
    assert notes[0] == "shrunk it from 900 × 600 to 180 × 120" and "to 80 × 40" in notes[2]
    torch.testing.assert_close(image, to_pose(clean)[0], atol=0.03, rtol=0)


# ---- photographs that are not perfect


def test_imperfect_photographs_keep_their_pose_or_a_note_says_what_is_uncertain():
    """`python tests/explore/photographs.py` prints the shares."""
    counts = photographs.verdicts()
    every = sum(counts.values(), photographs.Counter())
    assert every.total() == photographs.COUNT >= 200
    assert every["kept"] >= 0.95 * every.total() and every["lost"] <= 0.02 * every.total()
    assert min(count["kept"] / count.total() for count in counts.values()) > 0.85


def test_clean_photographs_are_uncertain_only_at_the_border_or_on_black():
    for clean, *_ in photographs.photographs(80):
        notes = to_pose(clean)[1]
        doubts = " ".join(note for note in notes if note.startswith("uncertain"))
        assert ("on a black ground" in doubts) == (clean[0, 0] < 5)
        at_border = (abs(clean - float(clean[0, 0])) > 13)[[2, -3]].any()
        at_border |= (abs(clean - float(clean[0, 0])) > 13)[:, [2, -3]].any()
        assert at_border or "border" not in doubts


def test_a_shaded_ground_is_evened_out_and_told():
    even = photo(300, 200, ground=230, thing=60) / 255
    y, x = np.mgrid[-1:1:200j, -1:1:300j]
    for light in (1 - 0.07 * (x**2 + y**2) / 2, 1 - 0.1 * (x + 1), np.cos(x / 4) * np.cos(y / 4)):
        image, notes = to_pose(even * light)
        torch.testing.assert_close(image, to_pose(even)[0], atol=0.01, rtol=0)
        assert "evened out the light: the ground is 0." in " ".join(notes)


def test_a_dark_pixel_and_a_hair_across_the_thing_do_not_move_it():
    clean = photo(150, 200)
    expected, _ = to_pose(clean)
    dusty, hairy, handled = clean.copy(), clean.copy(), clean.copy()
    dusty[150, 100] = 0
    image, notes = to_pose(dusty)
    assert torch.equal(image, expected)
    assert "passed over what is small beside the rest: 1 in number" in notes
    hairy[20, 60:] = 0  # one pixel thin, from the thing to the border
    image, notes = to_pose(hairy)
    assert (image - expected).abs().mean() < photographs.KEPT
    assert "uncertain: passed over something thin, a hair or a strap, at the border" in notes
    handled[18:22, 60:90] = 0  # four pixels: it is of the thing
    image, notes = to_pose(handled)
    assert "trimmed it from 150 × 200 to 70 × 20" in notes and "uncertain" not in " ".join(notes)


def test_what_reaches_the_border_is_uncertain():
    assert "uncertain" not in " ".join(to_pose(photo())[1])
    for rows, columns in ((0, 20), (40, 20), (10, 0), (10, 50)):
        pixels = np.full((60, 90), 240, np.uint8)
        pixels[rows : rows + 20, columns : columns + 40] = 40
        notes = to_pose(pixels)[1]
        assert "uncertain: what stands out reaches the border; is the ground plain?" in notes


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_cameras_bits_are_those_that_it_used(tmp_path, bits):
    pixels = (photo(ground=255) / 255 * (2**bits - 1)).round().astype(np.uint16)
    image, notes = to_pose(file_of(pixels, tmp_path / "camera.png"))
    torch.testing.assert_close(image, to_pose(photo(ground=255))[0], atol=0.002, rtol=0)
    said = f"took its 16 bits as {bits}: no value is above {2**bits - 1}"
    assert (said in notes) == (bits < 16)


# ---- bad input


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((0, 28)), r"empty: its shape is \(0, 28\)"),
        (np.zeros(28), r"this is \(28,\)"),
        (np.zeros((5, 1, 28, 28)), r"this is \(5, 1, 28, 28\)"),
        (np.zeros((28, 28, 7)), r"this is \(28, 28, 7\)"),
        (torch.tensor(0.5), r"this is \(\)"),
        (np.full((28, 28), np.nan), "NaN or infinite"),
        (np.full((40, 28), np.inf), "NaN or infinite"),
        (np.full((28, 28), 255.0), "from 255 to 255; floating-point ones must lie in"),
        (torch.full((1, 28, 28), -0.1), "from -0.1 to -0.1"),
        (np.zeros((28, 28), dtype=np.int64), "type int64, whose range is unknown"),
        (np.zeros((28, 28), dtype=complex), "type complex128"),
        (np.full((28, 28), "a"), "type <U1"),
        (Image.new("L", (0, 9)), "empty"),
        (Image.fromarray(np.full((9, 9), 70_000, dtype=np.int32)), "type int32"),
        (Image.new("RGBA", (60, 40)), "nothing is to be seen"),
        (np.zeros((1, 1)), "nothing is to be seen"),
    ],
)
def test_what_is_no_picture_is_refused_by_what_is_wrong(picture, message):
    with pytest.raises(PictureError, match=message):
        to_pose(picture)


def test_other_types_and_sides_are_refused():
    for thing in (None, 3, [[0.0]], b"bytes"):
        with pytest.raises(TypeError, match=f"picture is a {type(thing).__name__}; a tensor"):
            to_pose(thing)
    with pytest.raises(ValueError, match="given is 'front', allowed: left, right, top, bottom"):
        to_pose(photo(), "front")


def test_files_that_are_no_pictures_are_refused(tmp_path):
    path = tmp_path / "thing.png"
    with pytest.raises(PictureError, match=r"thing\.png cannot be read: No such file"):
        to_pose(path)
    for content in (b"", b"not a picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        path.write_bytes(content)
        with pytest.raises(PictureError, match=r"thing\.png is not a picture .*: PNG, JPEG"):
            to_pose(path)
    with pytest.raises(PictureError, match="cannot be read: Is a directory"):
        to_pose(tmp_path)
    content = io.BytesIO(b"no picture")
    content.name = "my <photo>.png"
    with pytest.raises(PictureError, match=r"^my <photo>\.png is not a picture of a known format"):
        to_pose(content)


@few
@given(st.data())
def test_damaged_files_are_refused_or_read_but_nothing_else(tmp_path_factory, data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]))
    content = io.BytesIO()
    Image.fromarray(photo()).save(content, format=kind)
    damaged = bytearray(content.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(damaged[: data.draw(st.integers(1, len(damaged)))])
    try:
        image, _ = to_pose(path)
    except PictureError as error:
        assert str(path) in str(error)
    else:
        assert image.shape == (1, 1, 28, 28) and image.isfinite().all()


@pytest.mark.parametrize("kind", ["png", "jpg", "gif"])
def test_a_truncated_file_is_refused(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60), np.uint8)
    path = file_of(noise, tmp_path / f"a.{kind}")
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(PictureError, match=rf"a\.{kind}: the picture cannot be decoded"):
        to_pose(path)


@pytest.mark.parametrize("edge", [10_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path, edge):
    """Pillow only warns of the smaller one."""
    content = io.BytesIO()
    Image.new("1", (8, 8)).save(content, format="BMP")
    header = bytearray(content.getvalue())
    header[18:26] = struct.pack("<ii", edge, edge)
    (tmp_path / "bomb.bmp").write_bytes(header)
    with pytest.raises(PictureError, match=r"bomb\.bmp has more than 89,478,485 pixels"):
        to_pose(tmp_path / "bomb.bmp")


def test_the_callers_image_is_left_alone():
    pixels, image = photo(), ImageOps.mirror(Image.fromarray(photo()))
    before = pixels.copy(), image.tobytes()
    to_pose(pixels), to_pose(image)
    assert (pixels == before[0]).all() and image.tobytes() == before[1]
    tensor = to_unit(torch.from_numpy(photo(28, 60))[:28])
    to_pose(tensor)[0].zero_()  # and the result shares no memory with it
    assert tensor.any()
