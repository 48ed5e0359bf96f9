// Shows pairs, sends answers, and repeats a request until the server has acknowledged it.

const QUICK = 400; // Milliseconds.
const AHEAD = 2; // Questions that are loaded ahead.
const RETRY = 1000; // Milliseconds.
const $ = (id) => document.getElementById(id);

let annotator = localStorage.getItem("annotator") ?? "";
let status = {};
let current = null; // {question, images: {fit: [left, right], pixels}}
let queue = [];
let shownAt = null; // When both pictures of the current question became visible; null before.
let outbox = []; // Answers that the server has not acknowledged.
let sending = false;
let filling = false;
let pixels = false;

export async function request(path, body) {
  const options = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  const found = await response.json();
  if (!response.ok) throw Object.assign(new Error(found.error), { kind: found.kind ?? "refused" });
  return found;
}

export function note(text, warn = false) {
  $("note").textContent = text;
  $("note").classList.toggle("warn", warn);
}

export const person = () => annotator;

export const newId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export const address = (picture, view) => `picture/${picture.id}/${picture.version}/${view}`;

function load(question, view) {
  return ["left", "right"].map((side) => {
    const image = new Image();
    image.src = address(question[side], view);
    return image;
  });
}

const item = (question) => ({ question, images: { fit: load(question, "fit") } });

async function fill() {
  if (filling || queue.length >= AHEAD) return;
  filling = true;
  try {
    const held = [current, ...queue, ...outbox].filter(Boolean)
      .map(({ question }) => `${question.left.id}.${question.right.id}`).join(",");
    const count = AHEAD + (current ? 0 : 1) - queue.length;
    const { questions } = await request(`api/questions?${new URLSearchParams({ annotator, held, count })}`);
    queue.push(...questions.map(item));
    if (!current && queue.length) show(queue.shift());
    else if (!current) finish();
  } catch (error) {
    note(error.kind ? error.message : "The program does not answer; waiting for it.", true);
    setTimeout(fill, RETRY);
  } finally {
    filling = false;
  }
}

function finish() {
  document.body.dataset.state = "done";
  $("pair").hidden = true;
  note("There are no pairs left to compare. Thank you!");
}

async function show(next) {
  current = next;
  shownAt = null;
  pixels = false;
  $("pair").hidden = false;
  document.body.dataset.state = "loading";
  await draw();
}

async function draw() {
  const shown = current;
  const view = pixels ? "pixels" : "fit";
  shown.images[view] ??= load(shown.question, view);
  $("pair").classList.add("loading");
  $("zoom").setAttribute("aria-pressed", pixels);
  try {
    await Promise.all(shown.images[view].map((image) => image.decode()));
  } catch {
    if (current !== shown) return;
    note("A picture was deleted or replaced, or cannot be read; here is another pair.", true);
    advance();
    return;
  }
  if (current !== shown || view !== (pixels ? "pixels" : "fit")) return;
  ["left", "right"].forEach((side, place) => {
    const image = shown.images[view][place];
    image.alt = `${side === "left" ? "Left" : "Right"} picture`;
    image.draggable = false;
    $(side).replaceChildren(image);
    $(side).classList.remove("chosen");
  });
  $("pair").classList.remove("loading");
  $("pair").classList.toggle("pixels", pixels);
  shownAt ??= performance.now();
  document.body.dataset.state = "ready";
}

function advance() {
  current = null;
  if (queue.length) show(queue.shift());
  else document.body.dataset.state = "loading";
  fill();
}

function answer(order, sure = true) {
  if (!current || shownAt === null || (status.blind && order === 0)) return;
  const ms = Math.round(performance.now() - shownAt);
  outbox.push({ question: current.question, body: { id: newId(), annotator, order, ms, sure, question: current.question } });
  if (!sure) note("Stored as a guess.");
  else if (order !== null && ms < QUICK) note(`That was quick (${ms} ms). Z takes it back.`);
  else note("");
  advance();
  send();
}

async function send() {
  if (sending) return;
  sending = true;
  while (outbox.length) {
    try {
      update((await request("api/answer", outbox[0].body)).status);
      outbox.shift();
    } catch (error) {
      if (error.kind === "gone" || error.kind === "answered") {
        outbox.shift();
        note(`Not stored: ${error.message}.`, true);
      } else {
        note(error.kind ? error.message : "The program does not answer; your answer is sent again.", true);
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    }
  }
  sending = false;
  fill();
}

async function undo() {
  while (sending) await new Promise((resolve) => setTimeout(resolve, 20));
  if (!status.last) return;
  try {
    const found = await request("api/undo", { annotator, of: status.last });
    update(found.status);
    if (!found.question) return;
    if (current) queue.unshift(current);
    note("Taken back. Answer it again.");
    show(item(found.question));
  } catch (error) {
    note(error.kind ? error.message : "The program does not answer; try again.", true);
  }
}

function update(found) {
  status = found;
  const [same, repeated] = found.repeated;
  const rows = {
    "answers": found.total ? `${found.answers} of ${found.total}` : found.answers,
    "can't tell": found.ties || null,
    "skipped": found.skipped || null,
    "per answer": found.seconds === null ? null : `${found.seconds} s`,
    "agrees with itself": repeated ? `${same} of ${repeated}` : null,
    "agreement": found.agreement || null,
    "other lines in pairs.csv": found.others || null,
    "pictures": found.pictures.toLocaleString("en"),
    "background": found.learning || null,
  };
  $("progress").replaceChildren(...Object.entries(rows).filter(([, value]) => value !== null).map(([name, value]) => {
    const row = document.createElement("div");
    for (const [kind, text] of [["dt", name], ["dd", value]]) {
      row.appendChild(document.createElement(kind)).textContent = text;
    }
    return row;
  }));
  $("annotators").replaceChildren(...found.annotators.map((name) => Object.assign(document.createElement("option"), { value: name })));
  $("undo").disabled = !found.last;
  for (const id of ["tab-scorer", "tab-threshold", "answer-tie"]) $(id).hidden = found.blind;
  for (const row of document.querySelectorAll(".blind")) row.hidden = !found.blind;
  for (const row of document.querySelectorAll(".seeing")) row.hidden = found.blind;
  if (found.problem) note(found.problem, true);
}

function zoom() {
  if (!current) return;
  pixels = !pixels;
  draw();
}

const help = () => $("help-text").showModal();

// In a blind test, Shift marks a guess.
const guessed = (event) => Boolean(status.blind && event.shiftKey);

const KEYS = {
  ArrowLeft: (event) => answer(-1, !guessed(event)), ArrowRight: (event) => answer(1, !guessed(event)), ArrowDown: () => answer(0),
  s: () => answer(null), z: undo, " ": zoom, "?": help,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || $("compare").hidden) return;
  if (event.target.closest("input, dialog") || $("help-text").open) return;
  if (event.key === " " && event.target.closest("button:not(.side)")) return; // Space presses a focused button.
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action(event);
});

for (const [id, action] of Object.entries({
  "left": KEYS.ArrowLeft, "answer-left": KEYS.ArrowLeft, "right": KEYS.ArrowRight, "answer-right": KEYS.ArrowRight,
  "answer-tie": KEYS.ArrowDown, "skip": KEYS.s, "undo": undo, "zoom": zoom, "help": help,
})) $(id).addEventListener("click", action);

async function start() {
  queue = [];
  current = null;
  try {
    update(await request(`api/status?${new URLSearchParams({ annotator })}`));
    fill();
  } catch (error) {
    note(error.kind ? error.message : "The program does not answer; waiting for it.", true);
    setTimeout(start, RETRY);
  }
}

$("annotator").value = annotator;
$("annotator").addEventListener("change", () => {
  annotator = $("annotator").value = $("annotator").value.trim();
  localStorage.setItem("annotator", annotator);
  start();
});
window.addEventListener("beforeunload", (event) => outbox.length && event.preventDefault());
start();
