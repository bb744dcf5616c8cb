"""The page "Try it" in a real Chromium, with the real API, its models, and Kafka behind it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe import violations
from browsing import MARKS
from chromium import wait_until
from PIL import Image
from waiting import PATIENCE_S

from dataflows.feedback import Correction
from dataflows.settings import Settings
from infra.offsets import OffsetReader
from models.wheels import fetch

pytestmark = MARKS

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "redis://127.0.0.1:1/0"  # the page needs the API alone
HAPPY_TEXT = "love great happy wonderful"
EXIF_ORIENTATION = 0x0112
READING = "#try-results .reading"
SIZE = (640, 480)  # of the camera
READY_TRIES = 600  # at 0.2 s or more


class Api(NamedTuple):
    """A running API and the settings that it has."""

    url: str
    settings: Settings


@pytest.fixture(scope="module")
def api(servers: Any, bundles: Path) -> Iterator[Api]:
    """`python -m serving` on the embedded broker and Redis, with topics of its own."""
    name = f"try-{uuid.uuid4().hex[:12]}"
    kafka = {"brokers": servers.brokers, "topic": f"{name}.events"}
    kafka |= {f"{k}_topic": f"{name}.{k}" for k in ("predictions", "dlq", "alerts", "feedback")}
    redis = {"url": servers.redis_url, "prefix": name}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SENTISTREAM_")}
    environment |= {f"SENTISTREAM_KAFKA__{k.upper()}": v for k, v in kafka.items()}
    environment |= {f"SENTISTREAM_REDIS__{k.upper()}": v for k, v in redis.items()}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "SENTISTREAM_BUNDLES": str(bundles),
        "SENTISTREAM_API__PORT": "0",
        "SENTISTREAM_API__TIMEOUT_S": "60",  # a busy machine is no reason to fail
    }
    command = [sys.executable, "-m", "serving"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found is not None, line
            assert any(_ready(found[0]) for _ in range(READY_TRIES)), "it is never ready"
            yield Api(found[0], Settings.model_validate({"kafka": kafka, "redis": redis}))
        finally:
            process.terminate()


def _ready(url: str) -> bool:
    time.sleep(0.2)
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=PATIENCE_S) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        with error:
            return False


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A photo with one face."""
    return fetch("single_face").read_bytes()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Path:
    """What the camera sees: the face, as uncompressed video."""
    with Image.open(io.BytesIO(photo)) as image:
        face = image.convert("RGB")
    face.thumbnail(SIZE)
    frame = Image.new("RGB", SIZE, (90, 90, 110))
    frame.paste(face, ((SIZE[0] - face.width) // 2, (SIZE[1] - face.height) // 2))
    luma, *chroma = frame.convert("YCbCr").split()
    half = (SIZE[0] // 2, SIZE[1] // 2)
    planes = b"".join([luma.tobytes(), *(plane.resize(half).tobytes() for plane in chroma)])
    path = tmp_path_factory.mktemp("video") / "face.y4m"
    head = f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F10:1 Ip A1:1 C420\n".encode()
    path.write_bytes(head + 5 * (b"FRAME\n" + planes))
    return path


@pytest.fixture
def browser_arguments(video: Path) -> list[str]:
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    ]


@pytest.fixture
def visit(start_dashboard: Any, page: Any, api: Api) -> Callable[..., str]:
    """A function that opens the page of a new dashboard, and returns the dashboard's address."""

    def opened(query: str = "", **settings: str) -> str:
        given = {"REDIS__URL": NOWHERE, "DASHBOARD__API_URL": api.url, "API__TIMEOUT_S": "60"}
        url: str = start_dashboard(**given | settings).url
        page.goto(f"{url}/try{query}")
        page.wait_for_selector("#try-file", state="attached")
        return url

    return opened


def give(page: Any, content: bytes, name: str = "photo.jpg", kind: str = "image/jpeg") -> Any:
    """Choose a photo, and return what the API says of it."""
    with page.expect_response("**/try/predict*") as answer:
        page.set_input_files("#try-file", {"name": name, "mimeType": kind, "buffer": content})
    page.wait_for_function("document.getElementById('try-status').textContent.includes('found')")
    return answer.value.json()


def width_of(photo: bytes) -> int:
    with Image.open(io.BytesIO(photo)) as image:
        return image.width


def mode(page: Any, name: str) -> None:
    page.locator("#try-mode").get_by_text(name, exact=True).click()


def records(settings: Settings, topic: str) -> list[Any]:
    with OffsetReader(settings.kafka) as reader:
        begin, end = reader.read(topic, "first"), reader.read(topic, "end")
        return list(reader.records(topic, begin, end))


def is_marked(page: Any, face: Any, width: int) -> bool:
    """Whether the left side of a face's box has the colour of its expression.

    Args:
        page: the page.
        face: as the API has it.
        width: of the picture in which the API has found it, in pixels.
    """
    left, top, _, bottom = face["box"]
    seen: bool = page.evaluate(
        """([x, y, width, name]) => {
            const canvas = document.getElementById('try-canvas');
            const scale = canvas.width / width;
            const at = [x * scale, y * scale].map(Math.round);
            const [r, g, b] = canvas.getContext('2d').getImageData(...at, 1, 1).data;
            const colour = getComputedStyle(document.documentElement)
                .getPropertyValue(`--${name}`).trim().toLowerCase();
            const hex = [r, g, b].map(v => v.toString(16).padStart(2, '0')).join('');
            return `#${hex}` === colour;
        }""",
        [left, (top + bottom) / 2, width, face["emotion"]],
    )
    return seen


def corrections(api: Api) -> list[Correction]:
    topic = api.settings.kafka.feedback_topic
    return [
        Correction.model_validate_json(one.value or b"") for one in records(api.settings, topic)
    ]


def test_a_photo_is_read_drawn_and_corrected(visit: Any, page: Any, api: Api, photo: bytes) -> None:
    visit()
    assert "nothing" in page.inner_text(".kept strong")
    said = give(page, photo)
    (face,) = said["faces"]
    assert is_marked(page, face, width_of(photo))
    assert page.inner_text("#try-status") == "One face was found."
    assert face["emotion"] in page.get_attribute("#try-canvas", "aria-label")
    head = page.inner_text(f"{READING} h3")
    assert f"Face 1: {face['emotion']}" in head
    assert f"{100 * face['confidence']:.0f}\u202f%" in head
    rows = page.locator(f"{READING} tr")
    assert rows.count() == 7
    for row in rows.all():
        share = face["probabilities"][row.locator("th").inner_text()]
        assert row.locator(".number").inner_text() == f"{100 * share:.1f}\u202f%"
        width = row.locator(".share-bar span").evaluate("bar => Number.parseFloat(bar.style.width)")
        assert width == pytest.approx(100 * share, abs=0.01)

    page.locator(".correct summary").click()
    page.get_by_role("button", name="Send the correction").click()
    page.get_by_text("Choose what is right first.").wait_for()
    page.get_by_label("What is right?").select_option("sadness")
    page.get_by_role("button", name="Send the correction").click()
    page.get_by_text("Thank you.").wait_for()
    (kept,) = [one for one in corrections(api) if one.id == said["id"]]
    assert (kept.face, kept.predicted, kept.label) == (0, face["emotion"], "sadness")
    assert len(kept.features) > 100
    assert kept.picture is None


def test_a_text_is_read_and_corrected(visit: Any, page: Any, api: Api) -> None:
    visit(API__MAX_TEXT="100")
    mode(page, "Text")
    page.click("#try-read")
    page.get_by_text("Write a text first.").wait_for()
    page.fill("#try-text", "great " * 20)
    page.click("#try-read")
    page.get_by_text("The text is too long").wait_for()
    page.fill("#try-text", HAPPY_TEXT)
    with page.expect_response("**/try/predict*") as answer:
        page.click("#try-read")
    page.wait_for_selector(READING)
    assert not page.is_visible("#try-error")
    assert "Text: positive" in page.inner_text(f"{READING} h3")
    assert page.locator(f"{READING} tr").count() == 3
    page.locator(".correct summary").click()
    page.get_by_label("What is right?").select_option("negative")
    page.get_by_role("button", name="Send the correction").click()
    page.get_by_text("Thank you.").wait_for()
    (kept,) = [one for one in corrections(api) if one.id == answer.value.json()["id"]]
    assert (kept.face, kept.predicted, kept.label) == (None, "positive", "negative")


def test_the_camera_is_read_at_its_rate_published_and_held(visit: Any, page: Any, api: Api) -> None:
    flying: list[int] = [0]
    most: list[int] = [0]

    def left(request: Any) -> None:
        if "/try/" in request.url and request.method == "POST":
            flying[0] += 1
            most[0] = max(most[0], flying[0])

    def came(request: Any) -> None:
        if "/try/" in request.url and request.method == "POST":
            flying[0] -= 1

    visit()
    page.on("request", left)
    page.on("requestfinished", came)
    page.on("requestfailed", came)
    mode(page, "Camera")
    topic = api.settings.kafka.topic
    page.click("#try-start")
    page.wait_for_function("document.getElementById('try-rate').textContent.includes('pictures/s')")
    assert page.inner_text("#try-status") == "The camera is on."
    assert "Published" not in page.inner_text("#try-rate")
    assert records(api.settings, topic) == []
    with page.expect_response("**/try/predict") as answer:
        pass
    (face,) = answer.value.json()["faces"]
    wait_until(page, lambda: is_marked(page, face, SIZE[0]), "the box is drawn over the video")

    page.get_by_label("Name of the source").fill("my camera")
    page.get_by_label("Publish what is read to Kafka").check()
    page.wait_for_function(
        "/Published: [3-9]/.test(document.getElementById('try-rate').textContent)"
    )
    assert most == [1]  # however slowly it is answered, nothing piles up
    page.click("#try-hold")
    page.wait_for_selector(".correct")  # what is held can be corrected
    assert page.evaluate("document.getElementById('try-video').srcObject") is None
    found = records(api.settings, topic)
    assert len(found) >= 3
    for record in found:
        assert record.key == b"my camera"
        # The numbers, and nothing of the picture.
        ((shares,),) = json.loads(record.value or b"").values()
        assert max(shares, key=shares.get) == face["emotion"]
        assert sum(shares.values()) == pytest.approx(1, abs=0.01)

    page.click("#try-start")
    page.wait_for_selector("#try-stop", state="visible")
    page.click("#try-stop")
    page.wait_for_function("document.getElementById('try-status').textContent.includes('off')")
    assert page.evaluate("document.getElementById('try-video').srcObject") is None


@pytest.mark.parametrize("browser_arguments", [[]])
def test_without_a_camera_it_says_so(visit: Any, page: Any) -> None:
    visit()
    mode(page, "Camera")
    page.click("#try-start")
    page.wait_for_selector("#try-error", state="visible")
    assert page.inner_text("#try-error") == "There is no camera."
    assert page.is_visible("#try-start")


def test_a_turned_photo_is_upright_in_picture_and_result(
    visit: Any, page: Any, photo: bytes
) -> None:
    visit()
    upright = give(page, photo)["faces"][0]["box"]
    with Image.open(io.BytesIO(photo)) as image:
        size = image.size
        exif = image.getexif()
        exif[EXIF_ORIENTATION] = 6  # to be turned clockwise by a quarter
        turned = io.BytesIO()
        image.transpose(Image.Transpose.ROTATE_90).save(turned, "JPEG", quality=95, exif=exif)
    (face,) = give(page, turned.getvalue())["faces"]
    canvas = page.locator("#try-canvas").evaluate("canvas => [canvas.width, canvas.height]")
    assert canvas[0] / canvas[1] == pytest.approx(size[0] / size[1], rel=0.01)
    assert face["box"] == pytest.approx(upright, abs=0.03 * max(size))
    assert is_marked(page, face, size[0])


def test_what_the_api_would_refuse_is_made_smaller_or_told(
    visit: Any, page: Any, photo: bytes
) -> None:
    visit(LIMITS__MAX_BYTES="20000")
    with Image.open(io.BytesIO(photo)) as image:
        gif = io.BytesIO()  # a type that the API does not take
        image.convert("RGB").resize((1200, 1200)).save(gif, "GIF")
    with page.expect_request("**/try/predict*") as request:
        said = give(page, gif.getvalue(), "photo.gif", "image/gif")
    assert 0 < int(request.value.all_headers()["content-length"]) <= 20_000
    assert request.value.headers["content-type"] == "image/jpeg"
    assert len(said["faces"]) == 1
    page.set_input_files(
        "#try-file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    )
    page.get_by_text("This is no picture that can be read.").wait_for()
    assert page.locator(READING).count() == 0


def test_a_photo_may_be_dropped_or_pasted(visit: Any, page: Any, photo: bytes) -> None:
    visit()
    for kind, member in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        with page.expect_response("**/try/predict*") as answer:
            page.evaluate(
                """([content, kind, member]) => {
                    const given = new DataTransfer();
                    const bytes = Uint8Array.from(content);
                    given.items.add(new File([bytes], 'photo.jpg', {type: 'image/jpeg'}));
                    const Kind = kind === 'drop' ? DragEvent : ClipboardEvent;
                    const options = {[member]: given, bubbles: true, cancelable: true};
                    document.getElementById('try-drop').dispatchEvent(new Kind(kind, options));
                }""",
                [list(photo), kind, member],
            )
        assert len(answer.value.json()["faces"]) == 1
        page.wait_for_selector(READING)


def test_an_older_photo_does_not_come_after_a_newer_one(
    visit: Any, page: Any, photo: bytes
) -> None:
    visit()
    asked: list[str] = []
    page.on("request", lambda request: "/try/predict" in request.url and asked.append(request.url))
    page.evaluate(
        """() => {
            const decode = window.createImageBitmap;
            window.createImageBitmap = async (file) => {
                window.createImageBitmap = decode; // only the first has to wait
                await new Promise((done) => { window.letGo = done; });
                return decode(file);
            };
        }"""
    )
    page.set_input_files(
        "#try-file", {"name": "old.jpg", "mimeType": "image/jpeg", "buffer": photo}
    )
    page.wait_for_function("'letGo' in window")
    give(page, photo)
    page.evaluate("window.letGo()")
    give(page, photo)
    assert len(asked) == 2


def test_a_text_is_dropped_as_browsers_do_and_a_file_beside_is_not_opened(
    visit: Any, page: Any
) -> None:
    visit()
    mode(page, "Text")
    taken = page.evaluate(
        """() => [['hello', 'text/plain'], [new File([], 'a')]].map((dropped) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(...dropped);
            const event = new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true});
            return !document.getElementById('try-text').dispatchEvent(event);
        })"""
    )
    assert taken == [False, True]


def test_an_api_that_is_away_is_told_with_what_to_do(
    visit: Any, page: Any, photo: bytes, problems: list[str]
) -> None:
    visit(DASHBOARD__API_URL="http://127.0.0.1:1")
    file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo}
    page.set_input_files("#try-file", file)
    page.wait_for_selector("#try-error", state="visible")
    assert page.inner_text("#try-error").startswith("The API does not answer. Start it with")
    assert "python -m serving" in page.inner_text("#try-error")
    mode(page, "Camera")
    assert not page.is_visible("#try-error")
    page.click("#try-start")
    page.wait_for_selector("#try-error", state="visible")
    page.click("#try-stop")
    page.wait_for_selector("#try-error", state="hidden")
    # The browser itself tells of every answer that is none.
    problems[:] = [problem for problem in problems if "status of 502" not in problem]


@pytest.mark.parametrize(
    ("scheme", "language", "width"), [("light", "fr", 1280), ("dark", "en", 390)]
)
def test_it_keeps_the_rules_of_accessibility_and_fits(
    visit: Any, page: Any, photo: bytes, scheme: str, language: str, width: int
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 844})

    def check() -> None:
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    visit(f"?lang={language}")
    page.wait_for_selector(f'html[data-mantine-color-scheme="{scheme}"]')
    check()
    file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo}
    page.set_input_files("#try-file", file)
    page.wait_for_selector(READING)
    page.locator(".correct summary").click()
    check()
    if language == "fr":
        assert "Visage 1\xa0: joie" in page.inner_text(f"{READING} h3")
        assert re.search(r"\d,\d\u202f%", page.locator(f"{READING} .number").first.inner_text())
        assert page.inner_text("#try-status") == "Un visage a été trouvé."
    mode(page, {"en": "Text", "fr": "Texte"}[language])
    page.click("#try-read")
    page.wait_for_selector("#try-error", state="visible")
    check()
    mode(page, {"en": "Camera", "fr": "Caméra"}[language])
    page.click("#try-start")
    page.wait_for_selector(READING)
    check()


def test_the_keyboard_is_enough(visit: Any, page: Any, api: Api, photo: bytes) -> None:
    # Asked for as early, as the browser may be quicker than the wish to be told of it.
    page.on("filechooser", lambda _: None)
    url = visit()
    page.goto(url)
    page.focus("#to-pipeline")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#try-file", state="attached")
    assert page.evaluate("location.pathname") == "/try"
    assert page.title().startswith("Try it")
    page.focus("#scheme")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "try-choose"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo}
    chooser.value.set_files(file)
    page.wait_for_selector(READING)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")  # from the photo to the text
    page.wait_for_selector("#try-text", state="visible")
    page.keyboard.press("Tab")
    page.keyboard.type(HAPPY_TEXT)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(READING)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Thank you.").wait_for()
    assert "Thank you." in page.evaluate("document.activeElement.textContent")


def test_other_pages_neither_load_it_nor_may_have_the_camera(
    page: Any, start_dashboard: Any
) -> None:
    dashboard = start_dashboard(REDIS__URL=NOWHERE)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{dashboard.url}/pipeline")
    page.wait_for_selector('#badge[data-state="disconnected"]')
    assert not page.is_visible("#try")
    assert not [url for url in asked if "try-" in url]
    policy = "document.featurePolicy.allowsFeature('camera')"
    assert not page.evaluate(policy)
    page.click("#to-try")
    page.wait_for_selector("#try-file", state="attached")
    assert page.evaluate(policy)
    assert [url for url in asked if "try-" in url]
    page.click("#to-live")
    page.wait_for_function("document.title.startsWith('Live')")
    assert not page.evaluate(policy)
