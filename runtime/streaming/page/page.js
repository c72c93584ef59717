// The page: one WebSocket in, a 3D scene, camera tiles and figures out; one command back, record.

import { Scene } from "./scene.js";
import { Tiles } from "./tiles.js";

const QUIET_MS = 3000, RETRY_MS = 500, RETRY_MOST_MS = 4000;
const CAUSES = { first: "the first", better: "refined", moved: "after a camera moved", again: "calibrated again", resumed: "from before the restart", known: "as recorded" };
const SCALES = { height: "the athlete's height", bone: "a bone", distance: "a camera distance", adult: "an adult's usual height" };
const $ = (id) => document.getElementById(id);
const scene = new Scene($("skeleton")), tiles = new Tiles($("tiles"));
const page = { skeletons: 0, instant: -1, connected: false, recording: null, halted: {}, scene, tiles };
window.cvsf = page; // for tests and for the console

let socket = null, retryMs = RETRY_MS, receivedAt = performance.now(), requested = null;

function connect() {
  socket = new WebSocket(`ws://${location.host}/live?smooth=${$("smooth").checked ? 1 : 0}`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { retryMs = RETRY_MS; page.connected = true; };
  socket.onmessage = ({ data }) => {
    receivedAt = performance.now();
    if (data instanceof ArrayBuffer) tiles.show(data);
    else receive(JSON.parse(data));
  };
  socket.onclose = () => {
    page.connected = false;
    page.recording = requested = null;
    showRecord();
    setTimeout(connect, retryMs);
    retryMs = Math.min(RETRY_MOST_MS, retryMs * 1.6);
  };
}

function receive(message) {
  if (message.about) {
    scene.about = message.about;
    tiles.setAbout(message.about);
    setText("engine", message.about.engine);
    setText("detector", message.about.detector);
  } else if (message.stats) {
    showStats(message.stats);
  } else if (message.kind === "skeleton") {
    page.skeletons += 1;
    page.instant = message.instant;
    scene.set(message);
    showProvenance(message);
  }
}

function setText(id, text, kind = "") {
  const element = $(id);
  element.textContent = text === null || text === undefined || text === "" ? "–" : text;
  element.className = kind;
  element.title = element.textContent;
}

function showProvenance(skeleton) {
  const chip = $("provenance"), views = skeleton.views.length;
  chip.textContent = skeleton.measured ? `measured by ${views} cameras` : `predicted · ${["no camera sees", "1 camera sees"][views] ?? `${views} cameras see`} the person`;
  chip.classList.toggle("predicted", !skeleton.measured);
  const world = skeleton.frame_of_reference === "world";
  $("trail-choice").hidden = !world;
  $("metres").textContent = world ? `metres by ${SCALES[skeleton.scale_source] ?? skeleton.scale_source}` : "unit scale";
  $("hint").hidden = world;
  setText("scale", world ? SCALES[skeleton.scale_source] ?? skeleton.scale_source : "unit scale");
}

function showWorld(world) {
  const found = world?.calibration > 0;
  scene.rig.misfit = found ? world.misfit ?? {} : {};
  setText("rig", !world ? "off" : found ? `no. ${world.calibration} · ${CAUSES[world.cause] ?? world.cause} · ${world.instants} instants` : `none yet: ${world.waiting_for}`, found ? "" : "warn");
  const worst = Object.entries(scene.rig.misfit).sort((a, b) => b[1] - a[1])[0];
  setText("misfit", worst ? `${(100 * worst[1]).toFixed(1)} % (${worst[0]})` : null);
  const moved = world?.moved ?? [];
  setText("moved", moved.length ? moved.join(", ") : found ? `none (${world.moves} so far)` : null, moved.length ? "bad" : "");
}

const fixed = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));

function lasting(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const hours = Math.floor(seconds / 3600), minutes = Math.floor((seconds % 3600) / 60);
  if (hours >= 48) return `${Math.floor(hours / 24)} d`;
  return hours ? `${hours} h ${String(minutes).padStart(2, "0")}` : minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

function showStats(stats) {
  setText("rate", fixed(stats.instants_per_s, 1));
  const full = stats.instants ? stats.instants_full / stats.instants : null;
  setText("full", full === null ? null : `${(100 * full).toFixed(1)} %`, full !== null && full < 0.9 ? "warn" : "");
  $("share").firstElementChild.style.width = `${100 * (full ?? 0)}%`;
  setText("partial", fixed(stats.instants_partial_per_s, 1), stats.instants_partial_per_s > 0 ? "warn" : "");
  setText("skeletons", stats.skeletons?.toLocaleString("en"));
  setText("predicted", stats.skeletons_predicted?.toLocaleString("en"));
  showEngine(stats);
  setText("session", stats.session ? stats.session.split("/").pop() : "", "quiet");
  const low = stats.free_recording_s !== null && stats.free_recording_s < 600;
  setText("room", lasting(stats.free_recording_s), low ? "bad" : "");
  setText("left", lasting(stats.free_recording_s), low ? "bad" : "");
  setText("disk", stats.disk_free_gb === null || stats.disk_free_gb === undefined ? null : `${stats.disk_free_gb.toFixed(0)} GB`);
  const refused = Object.values(stats.refused ?? {}).reduce((sum, count) => sum + count, 0);
  setText("refused", refused, refused ? "warn" : "");
  $("refused").title = Object.entries(stats.refused ?? {}).map(([reason, count]) => `${reason}: ${count}`).join("\n");
  showStages(stats.latency_ms ?? {});
  showWorld(stats.world);
  tiles.setStats(stats.cameras, stats.world?.moved ?? []);
  page.recording = stats.recording ?? null;
  page.halted = stats.recording_halted ?? null;
  if (requested !== null && requested !== isPaused()) requested = null;
  showRecord();
  showAlarms(stats.alarms ?? []);
}

function showEngine(stats) {
  setText("engine", stats.engine);
  setText("backend", stats.engine_plan ? `${stats.engine_backend} · plan: ${stats.engine_plan}` : stats.engine_backend);
  setText("detector", stats.detector ?? scene.about?.detector);
  const quality = stats.quality ?? {}, before = quality.before;
  for (const name of ["agreement", "reprojection"]) {
    const percent = (of) => `${(100 * of[name]).toFixed(1)} %`;
    const worse = before && quality[name] > 1.1 * before[name];
    setText(name, quality.instants ? `${percent(quality)}${before?.[name] ? ` · ${percent(before)}` : ""}` : null, worse ? "warn" : "");
  }
}

function showAlarms(alarms) {
  $("alarms").hidden = !alarms.length;
  $("alarms").replaceChildren(...alarms.map((alarm) => Object.assign(document.createElement("li"), { textContent: alarm })));
}

function showStages(latency) {
  const most = Math.max(1, ...Object.values(latency).map((ms) => ms.p95));
  const slowest = Object.values(latency).reduce((worst, ms) => Math.max(worst, ms.p95), 0);
  setText("latency", fixed((latency.exposure_to_skeleton ?? { p95: slowest }).p95, 0));
  $("stages").replaceChildren(...Object.entries(latency).map(([stage, ms]) => {
    const row = document.createElement("tr");
    const bar = Object.assign(document.createElement("div"), { className: "bar" });
    const fill = document.createElement("i");
    fill.style.width = `${(100 * ms.p95) / most}%`;
    bar.append(fill);
    for (const content of [stage.replaceAll("_", " "), bar, fixed(ms.p50, 1), fixed(ms.p95, 1)]) {
      const cell = document.createElement("td");
      cell.append(content);
      row.append(cell);
    }
    return row;
  }));
}

// Paused by the button. A full disk halts recording too; then it continues when there is space.
const isPaused = () => "pause" in (page.halted ?? {});

function showRecord() {
  const button = $("record"), on = page.recording === true, reasons = Object.values(page.halted ?? {});
  button.disabled = page.recording === null || page.halted === null || requested !== null;
  button.setAttribute("aria-pressed", String(on));
  const label = on ? "Stop recording" : page.halted === null || isPaused() ? "Record" : "Waiting for the disk";
  button.lastElementChild.textContent = requested === null ? label : requested ? "Starting…" : "Stopping…";
  button.title = on || isPaused() ? "" : "Recording continues when the disk has space; click to pause";
  const state = on ? "recording" : reasons.join(", ") || "not recorded";
  setText("recording", page.recording === null ? null : state, on ? "good" : reasons.length && !isPaused() ? "bad" : "");
}

$("record").addEventListener("click", () => {
  requested = isPaused();
  socket.send(JSON.stringify({ record: requested }));
  showRecord();
});
$("smooth").addEventListener("change", () => {
  if (page.connected) socket.send(JSON.stringify({ smooth: $("smooth").checked }));
});
$("trail").addEventListener("change", () => { scene.trailShown = $("trail").checked; });

setInterval(() => {
  const silence = performance.now() - receivedAt, banner = $("banner");
  banner.hidden = page.connected && silence < QUIET_MS;
  banner.textContent = page.connected
    ? `No message from the hub for ${Math.round(silence / 1000)} s.`
    : "Connection to the hub lost. Trying again…";
}, 250);
connect();
