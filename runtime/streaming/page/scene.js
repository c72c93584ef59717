// The 3D scene on a canvas: an orbit view over a ground grid, z up; with a calibration also the rig, and the body alone in a corner.

import { Rig } from "./rig.js";

const LEFT = [255, 174, 66], RIGHT = [57, 198, 255], MIDDLE = [240, 244, 248];
const TURN_PER_S = 0.25; // rad/s, while not dragged
const FOLLOW_S = 0.045; // time constant with which the drawn joints follow the received ones
const TRAIL = 600; // positions
const INSET = { width: 0.25, height: 0.52 }; // of the canvas, for the body alone
const CLOSE = { perspective: 4.2, pitch: 0 }, WIDE = { perspective: 2.4, pitch: 0.22 };

// Rotations from a frame with the named axis up to one with z up.
const Z_UP_ROTATIONS = {
  "+x": [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
  "-x": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
  "+y": [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
  "-y": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
  "+z": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  "-z": [[0, 1, 0], [1, 0, 0], [0, 0, -1]],
};

export function sideOf(joint) {
  const [, side] = /^([lr])(hip|knee|ankle|shoulder|elbow|wrist|eye|ear|heel|bigtoe|smalltoe)$/.exec(joint) ?? [];
  return { l: LEFT, r: RIGHT }[side] ?? MIDDLE;
}

export function colour([r, g, b], opacity = 1) {
  return `rgba(${r},${g},${b},${opacity})`;
}

export class Scene {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.described = null;
    this.rig = new Rig();
    this.trailShown = true;
    this.drawn = 0;
    this.reset();
    this.forget();
    this.listen();
    this.lastFrame = performance.now();
    requestAnimationFrame((now) => this.frame(now));
  }

  get about() { return this.described; }

  set about(about) {
    this.described = about;
    this.rig?.set(about.world);
  }

  reset() {
    Object.assign(this, { yaw: 0.6, pitch: 0.16, zoom: 1, held: false, touchedAt: -1e9 });
  }

  forget() {
    Object.assign(this, { goal: null, joints: null, reach: null, ground: null, middle: [0, 0, 0], trail: [] });
  }

  set(skeleton) {
    const world = skeleton.frame_of_reference === "world";
    const rows = Z_UP_ROTATIONS[world ? "+z" : this.about?.up] ?? Z_UP_ROTATIONS["+z"];
    const joints = skeleton.joints.map((p) => rows.map((row) => row[0] * p[0] + row[1] * p[1] + row[2] * p[2]));
    if (this.skeleton?.frame_of_reference !== skeleton.frame_of_reference || this.joints?.length !== joints.length) {
      this.forget();
    }
    this.skeleton = skeleton;
    this.goal = joints;
    const pelvis = joints[Math.max(0, this.about?.joints?.indexOf("hip") ?? 0)];
    if (world) this.trail = [...this.trail, { at: pelvis, measured: skeleton.measured }].slice(-TRAIL);
  }

  listen() {
    const { canvas } = this, pointers = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      this.held = true;
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const gap = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
      const before = pointers.size === 2 ? gap() : 0;
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      if (pointers.size === 2) { this.zoomBy(gap() / Math.max(before, 1)); return; }
      this.yaw -= (event.clientX - last[0]) * 0.008;
      this.pitch = Math.min(1.45, Math.max(-0.2, this.pitch + (event.clientY - last[1]) * 0.006));
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => {
        pointers.delete(event.pointerId);
        this.held = pointers.size > 0;
        this.touchedAt = performance.now();
      });
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * 0.0012));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.reset());
  }

  zoomBy(factor) {
    this.zoom = Math.min(5, Math.max(0.3, this.zoom * factor));
  }

  frame(now) {
    const elapsed = Math.min(0.1, (now - this.lastFrame) / 1000);
    this.lastFrame = now;
    if (!this.held && now - this.touchedAt > 4000) this.yaw += TURN_PER_S * elapsed;
    this.fit();
    if (this.goal) {
      this.follow(elapsed);
      this.draw();
      this.drawn += 1;
    }
    requestAnimationFrame((next) => this.frame(next));
  }

  fit() {
    const { canvas } = this;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio].map(Math.round);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.ratio = ratio;
    const edge = (side) => ratio * canvas.parentElement.querySelector(`.edge.${side}`).offsetHeight;
    this.margin = { top: edge("top"), bottom: edge("bottom") }; // space of the labels at the edges
  }

  follow(elapsed) {
    const ease = (seconds) => 1 - Math.exp(-elapsed / seconds);
    const mix = (from, to, share) => from.map((value, axis) => value + (to[axis] - value) * share);
    this.joints = this.joints?.map((p, i) => mix(p, this.goal[i], ease(FOLLOW_S))) ?? this.goal;
    const middle = [0, 1, 2].map((axis) => this.joints.reduce((sum, p) => sum + p[axis], 0) / this.joints.length);
    const reach = Math.max(...this.joints.map((p) => Math.hypot(...p.map((v, axis) => v - middle[axis]))));
    const ground = Math.min(...this.goal.map((p) => p[2]));
    // In the world frame a fast person is followed at once; in the canonical frame smoothly.
    const calm = this.skeleton.frame_of_reference === "world" ? 1 : ease(0.35);
    this.middle = this.reach === null ? middle : mix(this.middle, middle, calm);
    this.reach = this.reach === null ? reach : this.reach + (reach - this.reach) * ease(1.5);
    this.ground = this.ground === null ? ground : this.ground + (ground - this.ground) * ease(ground < this.ground ? 0.15 : 1.5);
  }

  project([x, y, z]) {
    const { lens } = this, pitch = Math.min(1.5, this.pitch + lens.pitch);
    const [dx, dy, dz] = [x - lens.middle[0], y - lens.middle[1], z - lens.middle[2]];
    const [sy, cy, sp, cp] = [Math.sin(this.yaw), Math.cos(this.yaw), Math.sin(pitch), Math.cos(pitch)];
    const across = cy * dx + sy * dy, away = -sy * dx + cy * dy;
    const depth = this.distance + cp * away - sp * dz, height = cp * dz + sp * away;
    const scale = this.focal / Math.max(depth, 0.05 * this.distance);
    return { x: lens.left + lens.width / 2 + scale * across, y: lens.top + lens.height * lens.level - scale * height, depth, scale };
  }

  // Set the view: a part of the world in a part of the canvas.
  look(lens) {
    this.lens = lens;
    this.distance = lens.reach * lens.perspective;
    this.focal = (lens.span * this.distance) / lens.reach;
  }

  draw() {
    const { context, canvas } = this, { width, height } = canvas;
    context.clearRect(0, 0, width, height);
    context.lineCap = context.lineJoin = "round";
    const whole = { left: 0, top: 0, width, height, level: 0.5 };
    const body = { ...CLOSE, middle: this.middle, reach: this.reach, span: Math.min(height, width * 1.1) * 0.43 };
    if (this.skeleton.frame_of_reference !== "world" || !this.rig.middle) {
      this.look({ ...whole, ...body, span: body.span * this.zoom });
      this.drawScene();
      return;
    }
    const room = width * (1 - 0.6 * INSET.width), span = Math.min(room * 0.42, height * 0.85) * this.zoom;
    this.look({ ...whole, ...WIDE, width: room, level: 0.47, middle: this.rig.middle, reach: this.rig.reach, span });
    this.drawScene(this.trailShown);
    this.rig.draw(this);
    this.drawInset(body);
  }

  drawScene(withTrail = false) {
    this.drawGround();
    if (withTrail && this.trail.length > 1) this.drawTrail();
    const points = this.joints.map((p) => this.project(p));
    this.drawShadow();
    this.drawTorso(points);
    this.drawBones(points);
  }

  // Where the body alone is drawn, in pixels of the canvas.
  inset() {
    const { canvas, ratio } = this, width = canvas.width * INSET.width;
    const height = Math.min(canvas.height * INSET.height, 2 * width);
    return { left: canvas.width - width - 14 * ratio, top: canvas.height - height - 14 * ratio, width, height };
  }

  drawInset(body) {
    const { context, ratio } = this;
    const { left, top, width, height } = this.inset();
    context.save();
    context.beginPath(); context.roundRect(left, top, width, height, 12 * ratio); context.clip();
    context.fillStyle = "#111922";
    context.fillRect(left, top, width, height);
    this.look({ ...body, left, top, width, height, level: 0.52, span: Math.min(height, width * 1.1) * 0.42 });
    this.drawScene();
    context.restore();
    Object.assign(context, { strokeStyle: "rgba(140,175,205,0.4)", lineWidth: 1.5 * ratio });
    context.beginPath(); context.roundRect(left, top, width, height, 12 * ratio); context.stroke();
  }

  drawGround() {
    const { context } = this, { reach, middle } = this.lens, ten = 10 ** Math.floor(Math.log10(reach));
    const step = ten * (reach / ten > 4 ? 2 : reach / ten > 2 ? 0.5 : 0.2) * (reach < 4 ? 2.5 : 1);
    const far = Math.ceil((reach * (reach < 4 ? 3.4 : 2.1)) / step), [cx, cy] = [Math.round(middle[0] / step), Math.round(middle[1] / step)];
    const line = (from, to, strength) => {
      const [a, b] = [this.project(from), this.project(to)];
      if (Math.min(a.depth, b.depth) < 0.08 * this.distance) return;
      context.strokeStyle = `rgba(140,175,205,${strength})`;
      context.beginPath(); context.moveTo(a.x, a.y); context.lineTo(b.x, b.y); context.stroke();
    };
    context.lineWidth = this.ratio;
    for (let i = -far; i <= far; i += 1) {
      for (let k = -far; k < far; k += 1) {
        const away = Math.hypot(i, k + 0.5) / far;
        if (away >= 1) continue;
        const strength = 0.5 * (1 - away) ** 1.4;
        line([(cx + i) * step, (cy + k) * step, this.ground], [(cx + i) * step, (cy + k + 1) * step, this.ground], strength);
        line([(cx + k) * step, (cy + i) * step, this.ground], [(cx + k + 1) * step, (cy + i) * step, this.ground], strength);
      }
    }
  }

  drawTrail() {
    const { context } = this;
    for (let i = 1; i < this.trail.length; i += 1) {
      const [a, b] = [this.project(this.trail[i - 1].at), this.project(this.trail[i].at)];
      const tint = this.trail[i].measured ? "57,198,255" : "250,204,21";
      context.strokeStyle = `rgba(${tint},${(0.85 * i) / this.trail.length})`;
      context.lineWidth = 2.5 * this.ratio;
      context.beginPath(); context.moveTo(a.x, a.y); context.lineTo(b.x, b.y); context.stroke();
    }
  }

  drawShadow() {
    const { context } = this;
    context.strokeStyle = "rgba(0,0,0,0.16)";
    for (const [a, b] of this.about?.bones ?? []) {
      const [from, to] = [a, b].map((i) => this.project([this.joints[i][0], this.joints[i][1], this.ground]));
      for (const width of [0.17, 0.1]) {
        context.lineWidth = width * this.reach * from.scale;
        context.beginPath(); context.moveTo(from.x, from.y); context.lineTo(to.x, to.y); context.stroke();
      }
    }
  }

  drawTorso(points) {
    const corners = ["lshoulder", "rshoulder", "rhip", "lhip"].map((name) => this.about?.joints?.indexOf(name) ?? -1);
    if (corners.includes(-1)) return;
    const { context } = this;
    context.fillStyle = "rgba(200,215,230,0.13)";
    context.beginPath();
    corners.forEach((i, at) => context[at ? "lineTo" : "moveTo"](points[i].x, points[i].y));
    context.closePath();
    context.fill();
  }

  drawBones(points) {
    const names = this.about?.joints ?? [], { confidence, measured } = this.skeleton;
    const sure = (i) => (measured ? 1 : 0.45) * (0.18 + 0.82 * Math.min(1, Math.max(0, confidence[i])));
    const parts = (this.about?.bones ?? []).map(([a, b]) => ({ a: points[a], b: points[b], opacity: Math.min(sure(a), sure(b)),
      tint: sideOf(names[b]) === MIDDLE ? sideOf(names[a]) : sideOf(names[b]), depth: (points[a].depth + points[b].depth) / 2 }));
    points.forEach((a, i) => parts.push({ a, opacity: sure(i), tint: sideOf(names[i] ?? ""), depth: a.depth - (names[i] === "head" ? 0.16 : 0.02) * this.reach, head: names[i] === "head" }));
    parts.sort((one, other) => other.depth - one.depth);
    for (const part of parts) part.b ? this.drawBone(part) : this.drawJoint(part);
  }

  drawBone({ a, b, opacity, tint, depth }) {
    const { context } = this, width = Math.max(0.062 * this.reach * (this.focal / depth), 2.4 * this.ratio);
    // Farther bones are darker; the light line in the middle makes them look round.
    const near = Math.min(1, Math.max(0.45, 0.78 - (depth - this.distance) / (2.6 * this.lens.reach)));
    const shaded = tint.map((value) => Math.round(value * near));
    for (const [share, style] of [[1.35, colour([6, 10, 14], 0.75 * opacity)], [1, colour(shaded, opacity)],
      [0.32, colour(shaded.map((v) => Math.min(255, v + 60)), 0.8 * opacity)]]) {
      context.strokeStyle = style;
      context.lineWidth = width * share;
      context.beginPath(); context.moveTo(a.x, a.y); context.lineTo(b.x, b.y); context.stroke();
    }
  }

  drawJoint({ a, opacity, tint, head }) {
    const { context } = this, radius = (head ? 0.1 : 0.044) * this.reach * a.scale;
    const light = context.createRadialGradient(a.x - radius * 0.35, a.y - radius * 0.4, radius * 0.1, a.x, a.y, radius);
    light.addColorStop(0, colour(tint.map((v) => Math.min(255, v + 70)), opacity));
    light.addColorStop(1, colour(tint.map((v) => Math.round(v * 0.62)), opacity));
    context.fillStyle = light;
    context.strokeStyle = colour([6, 10, 14], 0.7 * opacity);
    context.lineWidth = 1.2 * this.ratio;
    context.beginPath(); context.arc(a.x, a.y, radius, 0, 2 * Math.PI); context.fill(); context.stroke();
  }
}
