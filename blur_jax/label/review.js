// The tabs: the scorer on the answers, training, and the threshold by eye.

import { address, newId, person, request } from "./page.js";

const POLL = 2000; // Milliseconds.
const TABS = ["compare", "scorer", "threshold"];
const $ = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)}%`;

let state = null; // What the server knows about the threshold.
let shownAt = null; // When the picture to judge became visible; null before.
let moved = false; // Whether the line is where the person has put it.

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
  $("agreement").textContent = scorer ? agreement(scorer) : "No scorer is loaded yet. Pairs teach the page an order of its own, shown below.";
  $("hint").textContent = found.hint;
  $("use").hidden = !scorer;
  $("use").onclick = () => { $("command").textContent = scorer.use; };
  $("train").disabled = training.state === "running" || !training.possible;
  $("report").hidden = !training.report;
  if (training.state !== "none" || !scorer) $("command").textContent = training.command;
  const step = training.step === null ? "" : `step ${training.step}\n`;
  const words = { running: "training", failed: "training failed", done: "trained; the scores of all pictures follow" };
  $("output").hidden = training.state === "none";
  $("output").textContent = training.state === "none" ? "" : `${words[training.state]}\n${step}${training.output}`;
  $("curve-part").hidden = found.curve.length < 2;
  if (found.curve.length >= 2) draw(found.curve);
  $("mistakes-part").hidden = !scorer?.disagreements.length;
  $("mistakes").replaceChildren(...(scorer?.disagreements ?? []).map(mistake));
  $("strip-part").hidden = !found.strip.length;
  $("ordered-by").textContent = found.ordered_by;
  $("strip").replaceChildren(...strip(found.strip));
  document.body.dataset.training = training.state;
  if (!$("scorer").hidden && training.state === "running") setTimeout(overview, POLL);
}

function agreement({ run, right, total, low, high }) {
  if (!total) return `${run} has not been checked yet: compare some pairs first.`;
  return `After ${total} answers about random pairs, ${run} is right on ${right} (95% interval ${percent(low)} to ${percent(high)}).`;
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
  state = found;
  $("threshold-part").hidden = !found.ready;
  if (!found.ready) {
    $("threshold-note").textContent = "A threshold needs a scorer: train one in the tab Scorer, or start with --checkpoint=RUN.";
    return;
  }
  const enough = found.answers >= found.enough ? "That is enough." : `About ${found.enough} answers are enough.`;
  $("threshold-note").textContent = `Threshold ${found.keep_below.toFixed(3)} (95% interval ${found.low.toFixed(3)} to `
    + `${found.high.toFixed(3)}): keeps ${percent(found.share)}. ${found.answers} answers. ${enough}`;
  $("unjudge").disabled = !found.last;
  if (!moved) $("line").value = Math.round(100 * found.share);
  lined();
  judge(found.next);
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

function lined() {
  const share = moved ? Number($("line").value) / 100 : state.share;
  $("kept").textContent = percent(share);
  for (const [id, pictures] of [["near", state.near], ["all", state.strip]]) {
    const figures = strip(pictures);
    const first = pictures.findIndex((picture) => picture.score >= chosen());
    const line = Object.assign(element("div", `Threshold ${chosen().toFixed(3)}: kept above, discarded below`), { className: "line" });
    figures.splice(first < 0 ? figures.length : first, 0, line);
    $(id).replaceChildren(...figures);
  }
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
$("line").oninput = () => { moved = true; lined(); };
$("write").onclick = async () => {
  try {
    const { written } = await request("api/threshold/write", { keep_below: moved ? chosen() : null });
    $("written").textContent = written;
  } catch (error) {
    $("written").textContent = error.message;
  }
};
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
  $(`tab-${name}`).onclick = () => select(name);
  $(`tab-${name}`).onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.stopPropagation();
    const next = TABS[(place + step + TABS.length) % TABS.length];
    select(next);
    $(`tab-${next}`).focus();
  };
});
