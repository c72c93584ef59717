// The rig: a frustum for each camera, coloured by its reprojection error.

import { colour } from "./scene.js";

const GOOD = [74, 222, 128], FAIR = [250, 204, 21], MOVED = [255, 93, 93];
const FAIR_SHARE = 0.025; // reprojection error as a share of the person's extent; a guess, not measured

export class Rig {
  constructor() {
    Object.assign(this, { number: 0, cameras: [], misfit: {}, middle: null, reach: 1, labels: [] });
  }

  set(world) {
    this.number = world?.number ?? 0;
    this.cameras = Object.entries(world?.cameras ?? {}).map(([name, camera]) => ({ name, ...camera }));
    if (!this.cameras.length) { this.middle = null; return; }
    const mean = (axis) => this.cameras.reduce((sum, camera) => sum + camera.centre[axis], 0) / this.cameras.length;
    this.middle = [mean(0), mean(1), mean(2) * 0.4];
    this.reach = Math.max(2, ...this.cameras.map(({ centre }) => Math.hypot(centre[0] - this.middle[0], centre[1] - this.middle[1])));
  }

  tint(camera) {
    if (camera.moved) return MOVED;
    return (this.misfit[camera.name] ?? 0) > FAIR_SHARE ? FAIR : GOOD;
  }

  // Corners of the picture at a depth, in the world frame.
  corners({ centre, view_from_world: rows, focal_px: focal, image_px: [width, height] }, depth) {
    return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) => {
      const local = [(x * width * depth) / (2 * focal), (y * height * depth) / (2 * focal), depth];
      return [0, 1, 2].map((axis) => centre[axis] + rows.reduce((sum, row, k) => sum + row[axis] * local[k], 0));
    });
  }

  draw(scene) {
    const far = [...this.cameras].sort((a, b) => scene.project(b.centre).depth - scene.project(a.centre).depth);
    for (const camera of far) this.drawCamera(scene, camera);
    this.drawNames(scene, far.reverse());
  }

  drawCamera(scene, camera) {
    const { context, ratio } = scene, tint = this.tint(camera);
    const eye = scene.project(camera.centre), foot = scene.project([camera.centre[0], camera.centre[1], scene.ground]);
    if (eye.depth < 0.12 * scene.distance) return;
    const line = (a, b, width, style) => {
      Object.assign(context, { strokeStyle: style, lineWidth: width * ratio });
      context.beginPath(); context.moveTo(a.x, a.y); context.lineTo(b.x, b.y); context.stroke();
    };
    line(eye, foot, 2, "rgba(150,170,190,0.45)");
    context.fillStyle = "rgba(0,0,0,0.3)";
    context.beginPath(); context.ellipse(foot.x, foot.y, 5 * ratio, 2.2 * ratio, 0, 0, 2 * Math.PI); context.fill();
    const picture = this.corners(camera, 0.16 * this.reach).map((p) => scene.project(p));
    context.fillStyle = colour(tint, camera.moved ? 0.22 : 0.13);
    context.beginPath();
    picture.forEach(({ x, y }, i) => context[i ? "lineTo" : "moveTo"](x, y));
    context.closePath(); context.fill();
    picture.forEach((corner, i) => {
      line(corner, picture[(i + 1) % 4], 2, colour(tint, 0.95));
      line(eye, corner, 1.3, colour(tint, 0.6));
    });
    line(picture[0], picture[1], 3.4, colour(tint, 1)); // the upper edge
    context.fillStyle = colour(tint);
    context.beginPath(); context.arc(eye.x, eye.y, 3.6 * ratio, 0, 2 * Math.PI); context.fill();
  }

  // Moved cameras first, then the nearest; a name that overlaps others moves, or is left out.
  drawNames(scene, nearest) {
    const { context, ratio, canvas } = scene, inset = scene.inset();
    context.font = `600 ${13 * ratio}px system-ui, sans-serif`;
    this.labels = [];
    for (const camera of nearest.sort((a, b) => (b.moved ?? false) - (a.moved ?? false))) {
      const eye = scene.project(camera.centre), text = this.label(camera);
      if (eye.depth < 0.12 * scene.distance) continue;
      const width = context.measureText(text).width + 12 * ratio, height = 20 * ratio;
      const left = Math.min(Math.max(eye.x - width / 2, 2 * ratio), canvas.width - width - 2 * ratio);
      const places = [-30, 10, -54, 34, -78, 58].map((shift) => ({ left, top: eye.y + shift * ratio, width, height }));
      const beside = places.map((place) => ({ ...place, left: Math.min(left, inset.left - width - 2 * ratio) }));
      const box = [...places, ...beside].find((place) => place.top > scene.margin.top && place.top + height < canvas.height - scene.margin.bottom
        && ![...this.labels, inset].some((other) => overlap(place, other)));
      if (!box) continue;
      this.labels.push(box);
      context.fillStyle = "rgba(11,15,20,0.8)";
      context.beginPath(); context.roundRect(box.left, box.top, width, height, 6 * ratio); context.fill();
      context.fillStyle = camera.moved ? colour(this.tint(camera)) : "#e6edf4";
      context.fillText(text, box.left + 6 * ratio, box.top + 14.5 * ratio);
    }
  }

  label({ name, moved }) {
    const short = name.length > 18 ? `${name.slice(0, 9)}…${name.slice(-8)}` : name, share = this.misfit[name];
    return moved ? `${short} · moved` : share ? `${short} · ${(100 * share).toFixed(1)} %` : short;
  }
}

function overlap(a, b) {
  return a.left < b.left + b.width && b.left < a.left + a.width && a.top < b.top + b.height && b.top < a.top + a.height;
}
