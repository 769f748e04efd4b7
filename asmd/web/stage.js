// The frame with its boxes, the timeline under it, and every way to draw: mouse, touch and keys.
// Pictures and boxes come over one WebSocket; what a person does goes back as events to page.py.

const HANDLE = { mouse: 9, touch: 22 };
const LEAST = 4; // pixels of a side that can be tracked
const STATUS = { found: "#3ddc6a", uncertain: "#ffbe28", lost: "#ff7b7b" };
const CURSORS = { move: "move", draw: "crosshair" };

export default {
  template: `
  <div class="asmd-stage" @dragover.prevent="over = true" @dragleave="over = false" @drop.prevent="dropped">
    <div class="asmd-view" ref="view" :class="{ over }">
      <canvas ref="canvas" tabindex="0" role="application" aria-label="Video frame"
        aria-describedby="asmd-keys" :hidden="!state.count"
        @pointerdown="down" @pointermove="moved" @pointerup="up" @pointercancel="cancelEdit" @keydown="key"></canvas>
      <div v-if="!state.count" class="asmd-drop">
        <p><strong>Drop a video here</strong>, or images of a sequence</p>
        <button type="button" class="asmd-button" @click="choose">Choose a file</button>
        <p class="asmd-small">It stays on the machine that this page runs on, and is deleted when you close it.</p>
      </div>
      <div v-if="state.count" class="asmd-hud" aria-hidden="true">
        <span>{{ frame + 1 }} / {{ state.count }}</span><span v-if="running">{{ fps.toFixed(0) }} fps</span>
      </div>
      <div v-if="uploading !== null" class="asmd-uploading">
        <label>Uploading <progress max="1" :value="uploading"></progress></label>
        <button type="button" class="asmd-button" @click="cancelUpload">Cancel</button>
      </div>
    </div>
    <div v-show="state.count" class="asmd-time">
      <canvas ref="timeline" class="asmd-timeline" aria-hidden="true" @pointerdown="seekAt" @pointermove="seekDrag"></canvas>
      <input type="range" min="0" :max="Math.max(0, state.count - 1)" :value="frame" aria-label="Frame"
        :aria-valuetext="'frame ' + (frame + 1) + ' of ' + state.count" :disabled="running" @input="seek(+$event.target.value)">
      <p class="asmd-legend" aria-hidden="true"><b class="score"></b>score of {{ name(state.selected) || "the target" }}
        <b class="uncertain"></b>uncertain <b class="lost"></b>lost <b class="drawn"></b>drawn by you</p>
    </div>
    <p class="asmd-live" aria-live="polite">{{ spoken }}</p>
    <input ref="file" type="file" multiple hidden aria-label="Video or images" data-testid="file" @change="chosen">
    <input ref="boxfile" type="file" hidden aria-label="File of boxes" data-testid="boxes" @change="chosenBoxes">
    <video ref="camera" muted playsinline hidden></video>
  </div>`,
  props: { sid: String },
  data() {
    return {
      state: { count: 0, width: 1, height: 1, targets: [], selected: 0 },
      frame: 0, fps: 0, running: false, boxes: [], over: false, uploading: null, spoken: "", timelineData: null,
    };
  },
  mounted() {
    this.picture = null; this.edit = null; this.sought = -1; this.scale = 1; this.request = null; this.stream = null; this.shown = 0;
    this.connect();
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.$refs.view);
    window.asmd = { drawn: 0, firstBoxAt: 0, stage: this };
  },
  unmounted() { this.ended = true; this.socket.close(); this.observer.disconnect(); this.stopCamera(); },
  methods: {
    // -- the wire
    connect() {
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      this.socket = new WebSocket(`${scheme}://${location.host}/s/${this.sid}/live`);
      this.socket.binaryType = "arraybuffer";
      this.socket.onopen = () => { this.sought = -1; this.$emit("connected"); }; // what was asked of the last one is lost
      // One after the other: a picture takes a moment to decode, and must not come after what was sent later.
      this.socket.onmessage = (event) => { this.hearing = (this.hearing ?? Promise.resolve()).then(() => this.heard(event.data)).catch(console.error); };
      this.socket.onclose = () => { if (!this.ended) setTimeout(() => this.connect(), 1000); };
    },
    tell(message) { if (this.socket.readyState === 1) this.socket.send(JSON.stringify(message)); },
    async heard(data) {
      if (typeof data === "string") {
        const said = JSON.parse(data);
        if (said.type === "state") this.take(said);
        else if (said.type === "timeline") { this.timelineData = said; this.drawTimeline(); }
        else if (said.type === "boxes") { this.overlay(said); this.paint(); }
        else if (said.type === "camera") said.stop ? this.stopCamera() : this.nextCamera();
        return;
      }
      const length = new DataView(data).getUint32(0);
      const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
      try {
        const picture = await createImageBitmap(new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
        if (this.picture) this.picture.close();
        this.picture = picture;
        this.overlay(head);
        this.paint();
        window.asmd.drawn += 1;
        if (head.running && head.boxes.some((b) => !b.drawn) && !window.asmd.firstBoxAt) window.asmd.firstBoxAt = performance.now();
      } finally { this.tell({ type: "drawn" }); }
    },
    take(state) {
      const fresh = state.count && !this.state.count;
      this.state = state;
      this.running = state.running;
      if (!state.count) this.picture = null;
      this.$nextTick(() => { this.fit(); if (fresh) this.$refs.canvas.focus({ preventScroll: true }); });
    },
    overlay(head) {
      if (head.running) this.sought = -1;
      // Asked for before the last one: its picture may be seen, but we are at the last, where boxes are drawn already.
      if (this.sought >= 0 && head.frame !== this.sought) return;
      const moved = head.frame !== this.frame;
      this.frame = head.frame; this.fps = head.fps; this.running = head.running; this.boxes = head.boxes;
      this.sought = -1;
      if (moved && this.edit && this.edit.frame !== head.frame) {
        if (this.stream) this.edit.frame = head.frame; // the camera's last frame, which was on its way
        else this.edit = null;
      }
      if (moved) this.drawTimeline();
    },
    // -- names
    target(id) { return this.state.targets.find((t) => t.id === id); },
    name(id) { return this.target(id)?.name ?? ""; },
    colour(id) { return this.target(id)?.colour ?? "#ffffff"; },
    say(text) { this.spoken = ""; this.$nextTick(() => { this.spoken = text; }); },
    // -- drawing
    fit() {
      const view = this.$refs.view, canvas = this.$refs.canvas;
      if (!view || !this.state.count) return;
      const width = view.clientWidth, most = Math.max(200, window.innerHeight * 0.66);
      this.scale = Math.min(width / this.state.width, most / this.state.height);
      const w = Math.max(1, Math.round(this.state.width * this.scale)), h = Math.max(1, Math.round(this.state.height * this.scale));
      const dpr = Math.min(2, window.devicePixelRatio || 1);
      canvas.style.width = `${w}px`; canvas.style.height = `${h}px`;
      canvas.width = Math.round(w * dpr); canvas.height = Math.round(h * dpr);
      this.dpr = dpr;
      this.paint(); this.drawTimeline();
    },
    paint() {
      const canvas = this.$refs.canvas;
      if (!canvas || !this.state.count) return;
      const c = canvas.getContext("2d");
      c.setTransform(1, 0, 0, 1, 0, 0);
      if (this.picture) c.drawImage(this.picture, 0, 0, canvas.width, canvas.height);
      c.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
      for (const b of this.boxes) if (!(this.edit && this.edit.id === b.id)) this.paintBox(c, b.box, b.id, b);
      if (this.edit) this.paintBox(c, this.edit.box, this.edit.id, { status: "", drawn: true }, true);
    },
    paintBox(c, box, id, about, editing = false) {
      const [x, y, w, h] = box.map((v) => v * this.scale);
      const colour = id ? this.colour(id) : "#ffffff", chosen = editing || id === this.state.selected;
      c.setLineDash(about.status === "lost" ? [7, 6] : []);
      c.lineWidth = chosen ? 5 : 4; c.strokeStyle = "#000b"; c.strokeRect(x, y, w, h);
      c.lineWidth = chosen ? 3 : 2; c.strokeStyle = colour; c.strokeRect(x, y, w, h);
      c.setLineDash([]);
      const score = about.score === null || about.score === undefined ? "" : ` ${about.score.toFixed(2)}`;
      const text = `${this.name(id)} ${about.status || ""}${about.status ? score : ""}`.trim();
      if (text) {
        c.font = "600 13px system-ui, sans-serif";
        const width = c.measureText(text).width + 22, top = y > 22 ? y - 21 : Math.min(y + h + 3, this.state.height * this.scale - 20);
        const left = Math.max(0, Math.min(x, this.state.width * this.scale - width));
        c.fillStyle = "#0d1117e6"; c.fillRect(left, top, width, 19);
        c.fillStyle = STATUS[about.status] || colour; c.beginPath(); c.arc(left + 9, top + 9.5, 4, 0, 7); c.fill();
        c.fillStyle = "#ffffff"; c.fillText(text, left + 17, top + 14);
      }
      if (chosen && !this.running) {
        c.fillStyle = colour; c.strokeStyle = "#000"; c.lineWidth = 1;
        for (const [px, py] of this.handles([x, y, w, h])) { c.fillRect(px - 4, py - 4, 8, 8); c.strokeRect(px - 4, py - 4, 8, 8); }
      }
    },
    handles([x, y, w, h]) {
      return [[x, y], [x + w / 2, y], [x + w, y], [x + w, y + h / 2], [x + w, y + h], [x + w / 2, y + h], [x, y + h], [x, y + h / 2]];
    },
    // -- mouse and touch
    at(event) {
      const r = this.$refs.canvas.getBoundingClientRect();
      return [(event.clientX - r.left) / this.scale, (event.clientY - r.top) / this.scale];
    },
    hit(event) {
      const [px, py] = this.at(event), reach = HANDLE[event.pointerType === "touch" ? "touch" : "mouse"] / this.scale;
      const order = [...this.boxes].sort((a, b) => (b.id === this.state.selected) - (a.id === this.state.selected));
      for (const b of order) {
        if (b.id === this.state.selected) {
          const corner = this.handles(b.box).findIndex(([x, y]) => Math.abs(x - px) <= reach && Math.abs(y - py) <= reach);
          if (corner >= 0) return { how: "size", corner, b };
        }
      }
      for (const b of order) {
        const [x, y, w, h] = b.box;
        if (px >= x && px <= x + w && py >= y && py <= y + h) return { how: "move", b };
      }
      return { how: "draw" };
    },
    down(event) {
      if (this.running || !this.state.count || event.button > 0) return;
      this.$refs.canvas.focus({ preventScroll: true });
      this.$refs.canvas.setPointerCapture(event.pointerId);
      const { how, corner, b } = this.hit(event), start = this.at(event);
      const had = this.boxes.some((x) => x.id === this.state.selected);
      const id = b ? b.id : (this.state.selected && !had ? this.state.selected : 0);
      if (b && b.id !== this.state.selected) this.$emit("pick", { id: b.id });
      this.edit = { how, corner, start, id, frame: this.frame, before: b ? [...b.box] : null, box: b ? [...b.box] : [...start, 0, 0], pointer: true };
      this.paint();
    },
    moved(event) {
      const e = this.edit;
      if (!e || !e.pointer) { if (!this.running && this.state.count) this.$refs.canvas.style.cursor = CURSORS[this.hit(event).how] || "nwse-resize"; return; }
      const [px, py] = this.at(event), [sx, sy] = e.start;
      if (e.how === "draw") e.box = this.between(sx, sy, px, py);
      else if (e.how === "move") e.box = this.inside([e.before[0] + px - sx, e.before[1] + py - sy, e.before[2], e.before[3]]);
      else e.box = this.resized(e.before, e.corner, px - sx, py - sy);
      this.paint();
    },
    between(ax, ay, bx, by) {
      const W = this.state.width, H = this.state.height, k = (v, m) => Math.max(0, Math.min(m, v));
      [ax, bx] = [k(ax, W), k(bx, W)]; [ay, by] = [k(ay, H), k(by, H)];
      return [Math.min(ax, bx), Math.min(ay, by), Math.abs(bx - ax), Math.abs(by - ay)];
    },
    inside([x, y, w, h]) {
      return [Math.max(0, Math.min(this.state.width - w, x)), Math.max(0, Math.min(this.state.height - h, y)), w, h];
    },
    resized([x, y, w, h], corner, dx, dy) {
      let x2 = x + w, y2 = y + h;
      if ([0, 6, 7].includes(corner)) x = Math.min(x + dx, x2 - LEAST);
      if ([2, 3, 4].includes(corner)) x2 = Math.max(x2 + dx, x + LEAST);
      if ([0, 1, 2].includes(corner)) y = Math.min(y + dy, y2 - LEAST);
      if ([4, 5, 6].includes(corner)) y2 = Math.max(y2 + dy, y + LEAST);
      return this.between(x, y, x2, y2);
    },
    up() {
      const e = this.edit;
      if (!e || !e.pointer) return;
      window.asmd.released = performance.now(); window.asmd.firstBoxAt = 0;
      const same = e.before && e.before.every((v, i) => Math.abs(v - e.box[i]) < 0.5);
      if (!same && e.box[2] >= LEAST && e.box[3] >= LEAST) this.commit(e);
      else { this.edit = null; this.paint(); }
    },
    commit(e) {
      this.edit = null;
      this.boxes = [...this.boxes.filter((b) => b.id !== e.id), { id: e.id, box: e.box, score: 1, status: "found", drawn: true }];
      this.paint();
      this.$emit("draw", { id: e.id, frame: e.frame, box: e.box.map((v) => Math.round(v * 100) / 100) });
    },
    cancelEdit() { this.edit = null; this.paint(); },
    // -- keys
    startBox(fresh) {
      if (this.running || !this.state.count) return;
      const old = this.boxes.find((b) => b.id === this.state.selected);
      const w = this.state.width, h = this.state.height;
      const box = old && !fresh ? [...old.box] : [w * 0.375, h * 0.375, w / 4, h / 4].map(Math.round);
      const id = fresh ? (old ? 0 : this.state.selected) : this.state.selected;
      this.edit = { how: "keys", id, frame: this.frame, box };
      this.$refs.canvas.focus({ preventScroll: true });
      this.say("Box: arrows move it, with Shift they size it, Control is faster; Enter keeps it, Escape does not");
      this.paint();
    },
    key(event) {
      const e = this.edit, arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      let used = true;
      if (e && e.how === "keys") {
        const step = event.ctrlKey || event.altKey ? 10 : 1;
        if (arrows) {
          const [dx, dy] = arrows.map((v) => v * step), [x, y, w, h] = e.box;
          e.box = event.shiftKey ? this.resized(e.box, 4, dx, dy) : this.inside([x + dx, y + dy, w, h]);
          this.say(`left ${e.box[0].toFixed(0)}, top ${e.box[1].toFixed(0)}, width ${e.box[2].toFixed(0)}, height ${e.box[3].toFixed(0)}`);
          this.paint();
        } else if (event.key === "Enter") { window.asmd.released = performance.now(); window.asmd.firstBoxAt = 0; this.commit(e); }
        else if (event.key === "Escape") this.cancelEdit();
        else used = false;
      } else if (event.ctrlKey || event.metaKey || event.altKey) used = false;
      else if (arrows && arrows[0]) this.seek(this.frame + arrows[0] * (event.shiftKey ? 10 : 1));
      else if (event.key === "Home") this.seek(0);
      else if (event.key === "End") this.seek(this.state.count - 1);
      else if (event.key === " ") this.$emit("act", { what: this.running ? "pause" : "forward" });
      else if (event.key === "Delete" || event.key === "Backspace") this.$emit("act", { what: "clear" });
      else {
        const letter = event.key.toLowerCase();
        if (letter === "n") this.startBox(true);
        else if (letter === "e") this.startBox(false);
        else if ({ b: 1, z: 1, y: 1 }[letter]) this.$emit("act", { what: { b: "backward", z: "undo", y: "redo" }[letter] });
        else if (/^[1-9]$/.test(letter) && this.state.targets[+letter - 1]) this.$emit("pick", { id: this.state.targets[+letter - 1].id });
        else used = false;
      }
      if (used) { event.preventDefault(); event.stopPropagation(); }
    },
    // -- time
    seek(frame) {
      if (this.running || !this.state.count) return;
      frame = Math.max(0, Math.min(this.state.count - 1, frame));
      if (frame !== this.frame) this.boxes = []; // those of the frame before; its own come with its picture
      this.frame = this.sought = frame;
      this.tell({ type: "seek", frame });
      this.drawTimeline();
    },
    seekAt(event) {
      const r = this.$refs.timeline.getBoundingClientRect();
      this.seek(Math.round(((event.clientX - r.left) / r.width) * (this.state.count - 1)));
    },
    seekDrag(event) { if (event.buttons & 1) this.seekAt(event); },
    drawTimeline() {
      const canvas = this.$refs.timeline;
      if (!canvas || !this.state.count) return;
      const dpr = this.dpr || 1, w = canvas.clientWidth, h = canvas.clientHeight;
      canvas.width = Math.round(w * dpr); canvas.height = Math.round(h * dpr);
      const c = canvas.getContext("2d"), data = this.timelineData;
      c.setTransform(dpr, 0, 0, dpr, 0, 0);
      c.fillStyle = "#1b222c"; c.fillRect(0, 0, w, h);
      if (data && data.score) {
        const n = data.score.length, x = (i) => (i / n) * w, y = (s) => h - 6 - s * (h - 12);
        for (let i = 0; i < n; i++) {
          if (data.status[i] === "l") { c.fillStyle = "#7a2230"; c.fillRect(x(i), 0, w / n + 0.6, h); }
          else if (data.status[i] === "u") { c.fillStyle = "#5a4a16"; c.fillRect(x(i), 0, w / n + 0.6, h); }
        }
        c.strokeStyle = "#ffffff40"; c.lineWidth = 1;
        for (let k = -h; k < w; k += 7) { // lost spans are hatched as well, for those who do not tell the colours apart
          c.save(); c.beginPath();
          for (let i = 0; i < n; i++) if (data.status[i] === "l") c.rect(x(i), 0, w / n + 0.6, h);
          c.clip(); c.beginPath(); c.moveTo(k, h); c.lineTo(k + h, 0); c.stroke(); c.restore();
          if (!data.status.includes("l")) break;
        }
        c.strokeStyle = data.colour || "#4cc9f0"; c.lineWidth = 1.5; c.beginPath();
        let pen = false;
        data.score.forEach((s, i) => { if (s === null) { pen = false; return; } pen ? c.lineTo(x(i + 0.5), y(s)) : c.moveTo(x(i + 0.5), y(s)); pen = true; });
        c.stroke();
        c.fillStyle = "#ffffff";
        for (const i of data.drawn) { c.beginPath(); c.moveTo(x(i + 0.5) - 4, 0); c.lineTo(x(i + 0.5) + 4, 0); c.lineTo(x(i + 0.5), 7); c.fill(); }
      }
      const at = ((this.frame + 0.5) / this.state.count) * w;
      c.fillStyle = "#ffffff"; c.fillRect(at - 1, 0, 2, h);
    },
    // -- files
    choose() { this.$refs.file.click(); },
    chooseBoxes() { this.$refs.boxfile.click(); },
    chosen(event) { this.open([...event.target.files]); event.target.value = ""; },
    dropped(event) { this.over = false; this.open([...event.dataTransfer.files]); },
    async open(files) {
      if (!files.length) return;
      this.stopCamera();
      files.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
      const total = files.reduce((s, f) => s + f.size, 0) || 1;
      let done = 0;
      this.uploading = 0;
      for (let i = 0; i < files.length; i++) {
        const answer = await this.post(`/s/${this.sid}/files?index=${i}&count=${files.length}`, files[i], (sent) => { this.uploading = (done + sent) / total; });
        if (answer.error) { this.$emit("problem", { text: answer.error }); break; }
        done += files[i].size;
      }
      this.uploading = null;
    },
    async chosenBoxes(event) {
      const [file] = event.target.files;
      event.target.value = "";
      if (!file) return;
      const answer = await this.post(`/s/${this.sid}/boxes`, file, () => {});
      if (answer.error) this.$emit("problem", { text: answer.error });
    },
    post(url, body, progress) {
      return new Promise((resolve) => {
        const request = this.request = new XMLHttpRequest();
        request.open("POST", url);
        request.setRequestHeader("Content-Type", "application/octet-stream");
        request.upload.onprogress = (e) => progress(e.loaded);
        request.onload = () => { try { resolve(JSON.parse(request.responseText)); } catch { resolve({ error: `refused (${request.status})` }); } };
        request.onerror = () => resolve({ error: "the upload was broken off: refused, or the connection is lost" });
        request.onabort = () => resolve({ error: "upload cancelled" });
        request.send(body);
      });
    },
    cancelUpload() { this.request?.abort(); },
    // -- camera
    async startCamera() {
      try {
        this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 } } });
      } catch (error) {
        this.$emit("problem", { text: `no camera: ${error.message || error}` });
        this.$emit("camera", { on: false });
        return;
      }
      const video = this.$refs.camera;
      video.srcObject = this.stream;
      await video.play();
      this.$emit("camera", { on: true });
      this.lastCamera = 0;
      this.nextCamera();
    },
    nextCamera() {
      if (!this.stream) return;
      const wait = Math.max(0, 33 - (performance.now() - this.lastCamera));
      setTimeout(() => {
        const video = this.$refs.camera;
        if (!this.stream) return;
        if (!video || !video.videoWidth || this.edit) { setTimeout(() => this.nextCamera(), 50); return; } // it holds still while one draws
        this.lastCamera = performance.now();
        const canvas = this.grab ??= document.createElement("canvas");
        canvas.width = video.videoWidth; canvas.height = video.videoHeight;
        canvas.getContext("2d").drawImage(video, 0, 0);
        canvas.toBlob((blob) => { if (this.stream && this.socket.readyState === 1) this.socket.send(blob); }, "image/jpeg", 0.85);
      }, wait);
    },
    stopCamera() {
      if (!this.stream) return;
      this.stream.getTracks().forEach((t) => t.stop());
      this.stream = null;
      this.$emit("camera", { on: false });
    },
  },
};
