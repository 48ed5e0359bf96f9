// The tabs: the scorer on the answers, training, and the threshold by eye.

import { address, newId, person, request } from "./page.js";

const POLL = 2000; // Milliseconds.
const REST = 150; // Milliseconds without a move, after which the pictures around the line are asked for.
const MANY = 40; // Judgments, after which few more narrow the interval.
const WIDE = 0.3; // An interval that says too little.
const TABS = ["compare", "scorer", "threshold"];
const $ = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)}%`;

let state = null; // What the server knows about the threshold.
let polling = 0; // The timer of POLL.
let shownAt = null; // When the picture to judge became visible; null before.
let moved = false; // Whether the line is where the person has put it.
let resting = 0; // The timer of REST.

function element(kind, text, ...children) {
  const made = document.createElement(kind);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function figure(picture, caption) {
  const image = Object.assign(new Image(), { src: address(picture, "fit"), alt: "", title: picture.name, loading: "lazy" });
  return element("figure", "", image, element("figcaption", caption));
}

const strip = (pictures) => pictures.map((picture) => figure(picture, picture.score.toFixed(3)));

function select(name) {
  for (const tab of TABS) {
    $(tab).hidden = tab !== name;
    $(`tab-${tab}`).setAttribute("aria-selected", tab === name);
    $(`tab-${tab}`).tabIndex = tab === name ? 0 : -1;
  }
  if (name === "scorer") overview();
  if (name === "threshold") threshold();
}

async function overview() {
  let found;
  try {
    found = await request("api/overview");
  } catch (error) {
    $("agreement").textContent = error.kind ? error.message : "The program does not answer.";
    return;
  }
  const { scorer, training } = found;
  $("agreement").textContent = scorer ? agreement(scorer) : "The scorer has not read the pictures yet.";
  $("hint").textContent = found.hint;
  $("use").hidden = !scorer;
  $("use-command").textContent = scorer?.use ?? "";
  $("use-output").textContent = scorer?.output ?? "";
  $("train").disabled = training.state === "running" || !training.possible;
  $("report").hidden = !training.report;
  $("command").textContent = training.state !== "none" || !scorer ? training.command : "";
  const step = training.step === null ? "" : `step ${training.step}\n`;
  const words = {
    running: "training", failed: "training failed", reading: "trained; reading the pictures with the new scorer",
    unread: "trained, but reading the pictures with the new scorer failed", done: "trained",
  };
  $("output").hidden = training.state === "none";
  $("output").textContent = training.state === "none" ? "" : `${words[training.state]}\n${step}${training.output}`;
  $("curve-part").hidden = found.curve.length < 2;
  if (found.curve.length >= 2) draw(found.curve);
  $("mistakes-part").hidden = !scorer?.disagreements.length;
  $("mistakes").replaceChildren(...(scorer?.disagreements ?? []).map(mistake));
  $("strips").replaceChildren(...found.strips.map(ordered));
  document.body.dataset.training = training.state;
  clearTimeout(polling);
  if (!$("scorer").hidden && ["running", "reading"].includes(training.state)) polling = setTimeout(overview, POLL);
}

function agreement({ run, answers, trained, right, total, low, high }) {
  if (!total && trained) return `${run} was trained on the answers so far. To check it, compare more pairs.`;
  if (!total) return `${run} has not been checked yet: compare some pairs first.`;
  const since = trained ? `, given since ${run} was trained` : "";
  const more = high - low > WIDE ? " This interval is wide: compare more pairs." : "";
  return `${run} is right on ${right} of ${total} (95% interval ${percent(low)} to ${percent(high)}).${more} `
    + `These ${total} of ${answers} answers are about random pairs and no ties${since}.`;
}

function ordered({ by, pictures }) {
  const shown = Object.assign(element("div", "", ...strip(pictures)), { className: "strip" });
  return element("section", "", element("h2", `From sharp to blurred, by ${by}`), shown);
}

function mistake({ pair, order }) {
  const said = `You: the ${order > 0 ? "right" : "left"} one is blurrier.`;
  return Object.assign(element("div", "", element("p", said), ...strip(pair)), { className: "mistake" });
}

function draw(points) {
  const last = points.at(-1)[0];
  const x = (answers) => 40 + 540 * answers / last;
  const y = (share) => 140 - 120 * share;
  const made = (kind, attributes, text) => {
    const part = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
    part.textContent = text ?? "";
    return part;
  };
  $("curve").setAttribute("aria-label", `From ${percent(points[0][1])} to ${percent(points.at(-1)[1])} after ${last} answers`);
  $("curve").replaceChildren(
    ...[0, 0.5, 1].flatMap((share) => [
      made("line", { x1: 40, x2: 580, y1: y(share), y2: y(share) }),
      made("text", { x: 2, y: y(share) + 4 }, percent(share)),
    ]),
    made("polyline", { points: points.map(([answers, share]) => `${x(answers)},${y(share)}`).join(" ") }),
    made("text", { x: 480, y: 162 }, `${last} random pairs`),
  );
}

async function threshold() {
  try {
    show(await request("api/threshold"));
  } catch (error) {
    $("threshold-note").textContent = error.kind ? error.message : "The program does not answer.";
  }
}

function show(found) {
  if (state?.fingerprint !== found.fingerprint) moved = false; // Scores of another scorer mean something else.
  state = found;
  $("threshold-part").hidden = !found.ready;
  if (!found.ready) {
    $("threshold-note").textContent = "The scorer has not read the pictures yet.";
    return;
  }
  $("unjudge").disabled = !found.last;
  if (!moved) $("line").value = Math.round(100 * found.share);
  lined();
  judge(found.next);
  if (moved) around();
}

function enough({ answers, least, enough, unsure, next }) {
  if (answers >= least && unsure < enough) return "That is enough.";
  if (!next) return "All pictures are judged.";
  if (answers >= MANY) return "Your answers do not follow this scorer's order closely, so more will hardly narrow the interval.";
  if (answers < least) return `Judge at least ${least} pictures, or move the line.`;
  return `The interval contains ${percent(unsure)} of the pictures; below ${percent(enough)} is enough.`;
}

async function judge(picture) {
  shownAt = null;
  const next = Object.assign(new Image(), { alt: "The picture to judge", draggable: false });
  for (const id of ["keep", "discard"]) $(id).disabled = !picture;
  if (!picture) return;
  next.src = address(picture, "fit");
  try {
    await next.decode();
  } catch {
    $("threshold-note").textContent = "This picture was deleted or replaced; reload the page.";
    return;
  }
  if (state.next !== picture) return;
  $("judged").replaceChildren(next);
  shownAt = performance.now();
  document.body.dataset.judging = picture.id;
}

const chosen = () => (moved ? state.quantiles[Number($("line").value)] : state.keep_below);

// Draws the line, and what is known about it.
function lined() {
  const known = moved ? state.moved?.at === chosen() && state.moved : state;
  const share = known ? known.share : Number($("line").value) / 100;
  const value = chosen().toFixed(3);
  const how = moved ? "moved by hand" : `95% interval ${state.low.toFixed(3)} to ${state.high.toFixed(3)}`;
  $("threshold-note").textContent = `Threshold for ${state.run}: ${value} (${how}); keeps ${percent(share)}. `
    + `${state.answers} answers. ${enough(state)}`;
  $("kept").textContent = percent(share);
  $("write").disabled = !moved && state.answers < state.least;
  for (const [id, pictures] of [["near", state.near], ["all", state.strip]]) {
    const figures = strip(pictures);
    const first = pictures.findIndex((picture) => picture.score >= chosen());
    const line = Object.assign(element("div", `Threshold ${value}: pictures before this line are kept`), { className: "line" });
    figures.splice(first < 0 ? figures.length : first, 0, line);
    $(id).replaceChildren(...figures);
  }
}

// Asks for the pictures around the line where it is now.
async function around() {
  const at = chosen();
  try {
    const { share, near } = await request("api/threshold/line", { keep_below: at, fingerprint: state.fingerprint });
    if (!moved || at !== chosen()) return;
    Object.assign(state, { near, moved: { at, share } });
    lined();
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  if (error.kind === "answered") threshold(); // There is another scorer.
  $("written").textContent = error.kind ? error.message : "The program does not answer; try again.";
}

async function post(path, body) {
  try {
    show(await request(path, body));
  } catch (error) {
    $("threshold-note").textContent = error.kind ? error.message : "The program does not answer; answer again.";
    if (state.next) judge(state.next);
  }
}

function verdict(keep) {
  if (shownAt === null || !state?.next) return;
  const ms = Math.round(performance.now() - shownAt);
  shownAt = null;
  moved = false;
  post("api/judge", { id: newId(), annotator: person(), picture: state.next, keep, ms });
}

const unjudge = () => state?.last && post("api/judge/undo", { of: state.last });

document.addEventListener("keydown", (event) => {
  if ($("threshold").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input:not([type=range])")) return;
  ({ y: () => verdict(true), n: () => verdict(false), z: unjudge })[event.key.toLowerCase()]?.();
});

$("keep").onclick = () => verdict(true);
$("discard").onclick = () => verdict(false);
$("unjudge").onclick = unjudge;
$("line").oninput = () => {
  moved = true;
  lined();
  clearTimeout(resting);
  resting = setTimeout(around, REST);
};
$("write").onclick = async () => {
  try {
    const { fingerprint } = state;
    const { written } = await request("api/threshold/write", { keep_below: moved ? chosen() : null, fingerprint });
    $("written").textContent = written;
  } catch (error) {
    failed(error);
  }
};
$("use").onclick = () => ($("use-part").hidden = false);
$("train").onclick = async () => {
  try {
    await request("api/train", {});
  } catch (error) {
    $("agreement").textContent = error.message;
    return;
  }
  overview();
};

TABS.forEach((name, place) => {
  $(`tab-${name}`).onclick = (event) => {
    select(name);
    if (event.detail) event.currentTarget.blur(); // After a click or tap, keys belong to the panel.
  };
  $(`tab-${name}`).onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.stopPropagation();
    const next = TABS[(place + step + TABS.length) % TABS.length];
    select(next);
    $(`tab-${next}`).focus();
  };
});
