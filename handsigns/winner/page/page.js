/* Camera or image in, class and probabilities out. All text is set as text, never as markup. */

const MAX_IN_ORDER = 12; // more classes than this are shown by probability, the highest few
const NUM_MOST_PROBABLE = 8;
const ANNOUNCE_AFTER = 800; // ms for which a class must be shown before a screen reader says it
const RETRY_AFTER = 1000; // ms

const element = Object.fromEntries([...document.querySelectorAll("[id]")].map((e) => [e.id, e]));
const percent = (share) => `${(100 * share).toFixed(0)}\u00a0%`;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let model; // as GET /model describes it
let source = 0; // number of the current image source; what an earlier one still does is ignored

/* ---------- prediction ---------- */

async function predict(image) {
  let response;
  try {
    response = await fetch("predict", { method: "POST", body: image });
  } catch {
    throw new Error(`The service does not answer. Start it again: handsigns serve ${model.search}`);
  }
  if (response.ok) return response.json();
  const { error } = await response.json().catch(() => ({})); // Ray Serve's own errors are plain text
  if (error) throw new Error(`Unusable image: ${error}`);
  throw new Error(`The service failed (status ${response.status}). Try again, or start it again.`);
}

function show({ label, sure, probabilities }) {
  element.verdict.dataset.state = sure ? "sure" : "unsure";
  element.verdict.classList.toggle("long", sure && label.length > 12);
  element.stage.classList.toggle("sure", sure);
  element.label.textContent = sure ? label : "Not sure";
  const share = percent(probabilities[label]);
  element.detail.textContent = sure ? share : `most likely ${label}, ${share}`;
  showBars(probabilities, sure ? label : null);
  announce(sure ? label : "not sure");
}

function showBars(probabilities, chosen) {
  let names = model.classes;
  if (names.length > MAX_IN_ORDER)
    names = [...names].sort((a, b) => probabilities[b] - probabilities[a]);
  [...element.bars.children].forEach((bar, i) => {
    const [name, track, value] = bar.children;
    const share = probabilities[names[i]];
    bar.classList.toggle("chosen", names[i] === chosen);
    if (name.textContent !== names[i]) name.textContent = name.title = names[i];
    track.firstChild.style.setProperty("--share", `${100 * share}%`);
    value.textContent = percent(share);
  });
}

let announced = "";
let pending = "";
let timer = 0;

function announce(text) {
  if (text === pending) return;
  pending = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (text !== announced) element.announcement.textContent = announced = text;
  }, ANNOUNCE_AFTER);
}

function clear() {
  notify("");
  announce("");
  element.rate.textContent = "";
  element.verdict.dataset.state = "idle";
  element.verdict.classList.remove("long");
  element.stage.classList.remove("sure");
  element.label.textContent = "–";
  element.detail.textContent = "No image yet";
  showBars(Object.fromEntries(model.classes.map((name) => [name, 0])), null);
}

function notify(text) {
  element.notice.hidden = !text;
  element.notice.textContent = text;
}

/* ---------- sources ---------- */

function switchTo(state) {
  source += 1;
  element.video.srcObject?.getTracks().forEach((track) => track.stop());
  element.video.srcObject = null;
  URL.revokeObjectURL(element.image.src);
  element.image.removeAttribute("src");
  element.stage.dataset.state = state;
  element.camera.textContent = state === "camera" ? "Stop camera" : "Start camera";
  element.hint.textContent =
    state === "asking" ? "Allow this page to use the camera" : "Start the camera, or drop an image here";
  clear();
  return source;
}

async function startCamera() {
  const own = switchTo("asking");
  let stream;
  try {
    if (!navigator.mediaDevices) throw new DOMException("", "NotAllowedError");
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  } catch (error) {
    if (own === source) {
      switchTo("idle");
      notify(cameraProblem(error));
    }
    return;
  }
  if (own !== source) {
    stream.getTracks().forEach((track) => track.stop());
    return;
  }
  await runCamera(stream);
}

function cameraProblem(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "The browser does not let this page use the camera. Allow it in the address bar, then start the camera again.";
    case "NotFoundError":
      return "No camera found. Connect one, or choose an image.";
    case "NotReadableError":
      return "The camera is in use by another program. Close that, then start the camera again.";
    default:
      return `The camera cannot be used: ${error.message}`;
  }
}

/* One request at a time, each with the newest frame: what is shown is never late. */
async function runCamera(stream) {
  const own = switchTo("camera");
  const [track] = stream.getVideoTracks();
  track.addEventListener("ended", () => {
    if (own !== source) return;
    switchTo("idle");
    notify("The camera was disconnected.");
  });
  // As in a mirror, unless the camera looks away from the user; the model sees it unmirrored.
  element.stage.classList.toggle("mirrored", track.getSettings().facingMode !== "environment");
  element.video.srcObject = stream;
  await element.video.play().catch(() => {}); // interrupted by another source
  const rate = makeRate();
  while (own === source) {
    await nextFrame();
    if (own !== source) return;
    try {
      const answer = await predict(await squareFrame());
      if (own !== source) return;
      notify("");
      show(answer);
      rate();
    } catch (error) {
      if (own !== source) return;
      notify(error.message);
      await wait(RETRY_AFTER);
    }
  }
}

function nextFrame() {
  return new Promise((resolve) => {
    const { video } = element;
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}

const canvas = document.createElement("canvas");

/* The central square, still larger than the model's input: the service resizes it as in training. */
function squareFrame() {
  const { videoWidth, videoHeight } = element.video;
  const side = Math.min(videoWidth, videoHeight);
  const size = (canvas.width = canvas.height = Math.min(side, 4 * model.size));
  const [left, top] = [(videoWidth - side) / 2, (videoHeight - side) / 2];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(element.video, left, top, side, side, 0, 0, size, size);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}

/* Returns a function to call after each prediction, which shows their rate every second. */
function makeRate() {
  let since = performance.now();
  let count = 0;
  return () => {
    count += 1;
    const seconds = (performance.now() - since) / 1000;
    if (seconds < 1) return;
    element.rate.textContent = `${(count / seconds).toFixed(0)} frames/s`;
    since = performance.now();
    count = 0;
  };
}

async function showImage(file) {
  if (!file) return;
  const own = switchTo("image");
  element.image.src = URL.createObjectURL(file);
  element.image.alt = file.name;
  try {
    const answer = await predict(file);
    if (own === source) show(answer);
  } catch (error) {
    if (own !== source) return;
    switchTo("idle");
    notify(error.message);
  }
}

/* ---------- page ---------- */

function describe() {
  document.title = element.name.textContent = model.search;
  const count = model.classes.length;
  element.about.textContent = `${count} ${count === 1 ? "class" : "classes"}, images of ${model.size} × ${model.size} pixels`;
  element.host.textContent = location.host;
  const reason = model.threshold_calibrated
    ? "as the true class does for 95\u00a0% of held-out images"
    : "which is not calibrated";
  element.caption.textContent = `Sure if exactly one class reaches the line at ${percent(model.threshold)}, ${reason}.`;
  element.bars.style.setProperty("--threshold", `${100 * model.threshold}%`);
  element.bars.append(...Array.from({ length: count > MAX_IN_ORDER ? NUM_MOST_PROBABLE : count }, makeBar));
}

function makeBar() {
  const bar = document.createElement("li");
  const [name, track, value] = ["bdi", "span", "span"].map((tag) => document.createElement(tag));
  track.className = "track";
  track.append(document.createElement("span"));
  track.firstChild.className = "fill";
  value.className = "value";
  bar.append(name, track, value);
  return bar;
}

function listen() {
  element.camera.addEventListener("click", () => {
    if (element.stage.dataset.state === "camera") switchTo("idle");
    else startCamera();
  });
  element.choose.addEventListener("click", () => element.file.click());
  element.file.addEventListener("change", () => {
    showImage(element.file.files[0]);
    element.file.value = ""; // the same file can be chosen again
  });
  document.addEventListener("paste", (event) => showImage(event.clipboardData.files[0]));
  const dragging = (event, over) => {
    event.preventDefault();
    element.stage.classList.toggle("drop", over);
  };
  document.addEventListener("dragover", (event) => dragging(event, true));
  document.addEventListener("dragleave", (event) => dragging(event, false));
  document.addEventListener("drop", (event) => {
    dragging(event, false);
    const [file] = event.dataTransfer.files;
    if (file) showImage(file);
    else notify("That is not an image file. Save it first, then drop the file.");
  });
}

model = await (await fetch("model")).json();
describe();
switchTo("idle");
listen();
document.documentElement.dataset.ready = "";
