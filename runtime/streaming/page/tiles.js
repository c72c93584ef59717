// Camera tiles: the camera's JPEG with the 2D pose of the same picture, and its figures.

import { colour, sideOf } from "./scene.js";

const SILENT_MS = 2500;
const number = (value, digits = 0) => (value === null || value === undefined ? "–" : value.toFixed(digits));

export class Tiles {
  constructor(section) {
    this.section = section;
    this.tiles = new Map();
    this.about = null;
    this.pictures = 0;
    this.overlays = 0;
    this.broken = 0;
    setInterval(() => this.mark(), 500);
  }

  setAbout(about) {
    this.about = about;
    for (const camera of about.cameras ?? []) this.tile(camera);
  }

  tile(camera) {
    if (!this.tiles.has(camera)) this.tiles.set(camera, this.make(camera));
    return this.tiles.get(camera);
  }

  make(camera) {
    const element = document.createElement("figure");
    element.className = "tile";
    element.dataset.camera = camera;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: 640, height: 480 });
    const caption = document.createElement("figcaption"), parts = {};
    for (const key of ["fps", "dropped", "clock", "confidence"]) {
      parts[key] = document.createElement("span");
      caption.append(parts[key]);
    }
    const [name, silent] = ["name chip", "silent"].map((kind) => Object.assign(document.createElement("p"), { className: kind }));
    name.textContent = camera;
    silent.textContent = "no picture yet";
    element.append(canvas, name, silent, caption);
    this.section.append(element);
    this.section.style.setProperty("--columns", Math.ceil(Math.sqrt(this.section.childElementCount)));
    return { element, canvas, silent, parts, busy: false, shownAt: -Infinity };
  }

  async show(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const tile = this.tile(header.camera);
    if (tile.busy) return; // the next picture is newer
    tile.busy = true;
    try {
      const picture = await createImageBitmap(new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" }));
      const { canvas } = tile;
      if (canvas.width !== picture.width || canvas.height !== picture.height) {
        Object.assign(canvas, { width: picture.width, height: picture.height });
      }
      canvas.getContext("2d").drawImage(picture, 0, 0);
      picture.close();
      this.overlay(canvas, header);
      tile.shownAt = performance.now();
      this.pictures += 1;
    } catch {
      this.broken += 1; // not a readable JPEG; the tile keeps its last picture
    }
    tile.busy = false;
  }

  overlay(canvas, { keypoints_px: keypoints, confidence, joint_set: set }) {
    if (!keypoints || !this.about) return;
    const context = canvas.getContext("2d");
    const unit = (0.75 * canvas.width) / Math.max(1, canvas.clientWidth); // same width on small tiles
    const named = set === this.about.joint_set;
    const tint = (i) => sideOf(named ? this.about.joints[i] : "");
    let drawn = 0;
    context.lineCap = "round";
    for (const [a, b] of named ? this.about.bones : []) {
      const sure = Math.min(confidence[a], confidence[b]);
      if (sure <= 0.05) continue;
      for (const [width, style] of [[7, colour([0, 0, 0], 0.6 * sure)], [4.5, colour(tint(b).every((v) => v > 235) ? tint(a) : tint(b), 0.25 + 0.75 * sure)]]) {
        context.strokeStyle = style;
        context.lineWidth = width * unit;
        context.beginPath(); context.moveTo(...keypoints[a]); context.lineTo(...keypoints[b]); context.stroke();
      }
      drawn += 1;
    }
    keypoints.forEach(([x, y], i) => {
      if (confidence[i] <= 0.05) return;
      context.fillStyle = colour(tint(i), 0.3 + 0.7 * confidence[i]);
      context.strokeStyle = colour([0, 0, 0], 0.6);
      context.lineWidth = unit;
      context.beginPath(); context.arc(x, y, 4.6 * unit, 0, 2 * Math.PI); context.fill(); context.stroke();
      drawn += 1;
    });
    if (drawn) this.overlays += 1;
  }

  setStats(cameras, moved) {
    for (const [camera, figures] of Object.entries(cameras ?? {})) {
      const { element, parts } = this.tile(camera);
      const setText = (key, value, unit, kind = "") => {
        const strong = document.createElement("b");
        Object.assign(strong, { textContent: value, className: kind });
        parts[key].replaceChildren(strong, ` ${unit}`);
      };
      setText("fps", number(figures.fps, 1), "fps");
      setText("dropped", number(figures.dropped), "dropped", figures.dropped ? "warn" : "");
      setText("clock", number(figures.clock_error_ms, 1), "± ms", figures.clock_error_ms > 10 ? "warn" : "");
      setText("confidence", number(figures.confidence, 2), "2D conf", (figures.confidence ?? 1) < 0.3 ? "warn" : "");
      const state = figures.state ?? "live";
      element.dataset.state = state;
      const shown = moved.includes(camera) ? "moved" : state;
      element.classList.toggle("moved", shown === "moved");
      element.querySelector(".name").textContent = shown === "live" ? camera : `${camera} · ${shown}`;
    }
  }

  mark() {
    for (const { element, silent, shownAt } of this.tiles.values()) {
      const quiet = performance.now() - shownAt > SILENT_MS;
      silent.hidden = !quiet;
      element.classList.toggle("lost", quiet && Number.isFinite(shownAt));
      if (quiet && Number.isFinite(shownAt)) silent.textContent = `no picture for ${Math.round((performance.now() - shownAt) / 1000)} s`;
    }
  }
}
