// Draws the charts that tune_core.plots describes, on canvases: no library, no network, no HTML from data.
(function () {
  'use strict';
  const TC = (window.TC = window.TC || {});
  const words = (TC.words = TC.words || {}); // translations by English text
  TC.t = (text) => (Object.prototype.hasOwnProperty.call(words, text) ? words[text] : text);
  const SEQUENTIAL = ['#440154', '#472f7d', '#39568c', '#2a788e', '#1f988b', '#22a884', '#54c568', '#a5db36', '#fde725'];
  const FONT = '12px system-ui, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif';
  const SMALL = FONT.replace('12px', '11px');

  // --- elements -----------------------------------------------------------------------------------------------------
  TC.el = function (tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
      else if (name === 'class') node.className = value;
      else node.setAttribute(name, value === true ? '' : value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
    return node;
  };
  const el = TC.el;

  TC.unpack = function (packed) {
    if (Array.isArray(packed)) return packed.map((v) => (v === null ? NaN : v));
    if (!packed || packed.buffer) return packed;
    const sent = packed.f ?? packed.d ?? packed.i, text = atob(typeof sent === 'number' ? pool()[sent] : sent);
    const bytes = new Uint8Array(text.length);
    for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
    return new (packed.f !== undefined ? Float32Array : packed.d !== undefined ? Float64Array : Int32Array)(bytes.buffer);
  };
  let arrays = null; // equal arrays are sent once
  function pool() { if (arrays === null) arrays = TC.data('array-pool'); return arrays; }
  TC.number = function (value) {
    if (value === null || value === undefined) return '';
    if (!Number.isFinite(value)) return String(value);
    if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(3).replace(/\.?0+e/, 'e').replace('e+', 'e');
    return String(Number(value.toPrecision(5)));
  };
  TC.trialName = (index) => String(index).padStart(5, '0');

  let styles = null;
  function theme(name) {
    if (styles === null) styles = getComputedStyle(document.documentElement);
    return styles.getPropertyValue('--' + name).trim() || '#888';
  }
  function sequential(at) {
    at = Math.min(1, Math.max(0, at)) * (SEQUENTIAL.length - 1);
    const low = Math.min(Math.floor(at), SEQUENTIAL.length - 2);
    const part = (k) => {
      const a = parseInt(SEQUENTIAL[low].slice(k, k + 2), 16), b = parseInt(SEQUENTIAL[low + 1].slice(k, k + 2), 16);
      return Math.round(a + (b - a) * (at - low));
    };
    return `rgb(${part(1)},${part(3)},${part(5)})`;
  }
  const colorOf = (color) => (typeof color === 'number' ? sequential(color) : theme(color));
  // A quarter of each: the difference of two numbers may be too large for one.
  const between = (value, low, high) => (value / 4 - low / 4) / (high / 4 - low / 4);
  function scaled(scale, value) {
    let at = scale.log && scale.low > 0
      ? (Math.log(value) - Math.log(scale.low)) / (Math.log(scale.high) - Math.log(scale.low))
      : between(value, scale.low, scale.high);
    at = Math.min(1, Math.max(0, at));
    return scale.reverse ? 1 - at : at;
  }

  // --- axes ---------------------------------------------------------------------------------------------------------
  function linearTicks(low, high, count) {
    const raw = high / Math.max(1, count) - low / Math.max(1, count);
    const power = Math.pow(10, Math.floor(Math.log10(raw)));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw) || raw;
    const ticks = [], end = Math.min(Number.MAX_VALUE, high + step * 1e-9);
    for (let k = Math.ceil(low / step - 1e-9); k * step <= end && ticks.length < 200; k++) ticks.push(Number((k * step).toPrecision(12)));
    return ticks;
  }
  function logTicks(low, high, count) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    if (last - first < 1) return linearTicks(low, high, count).filter((v) => v > 0);
    const step = Math.max(1, Math.ceil((last - first + 1) / Math.max(2, count)));
    const ticks = [];
    for (let k = first; k <= last; k += step) ticks.push(Math.pow(10, k));
    if (last - first < 2) for (let k = first - 1; k <= last; k++) for (const m of [2, 5]) { const v = m * Math.pow(10, k); if (v >= low && v <= high) ticks.push(v); }
    return ticks.sort((a, b) => a - b);
  }
  class Scale1 {
    constructor(axis, low, high, from, to) {
      this.axis = axis; this.low = low; this.high = high; this.from = from; this.to = to;
      this.log = !!axis.log && low > 0;
      this.a = this.log ? Math.log(low) : low; this.b = this.log ? Math.log(high) : high;
    }
    at(v) {
      const u = this.log ? (v > 0 ? Math.log(v) : this.a - 1e9) : v;
      return this.from + between(u, this.a, this.b) * (this.to - this.from);
    }
    back(p) { const part = (p - this.from) / (this.to - this.from), u = this.a * (1 - part) + this.b * part; return this.log ? Math.exp(u) : u; }
    ticks(count) {
      if (this.axis.labels) {
        const step = Math.max(1, Math.ceil(this.axis.labels.length / count)), all = [];
        for (let k = 0; k < this.axis.labels.length; k += step) if (k >= this.low && k <= this.high) all.push(k);
        return all;
      }
      const ticks = this.log ? logTicks(this.low, this.high, count) : linearTicks(this.low, this.high, count);
      return this.axis.integer ? ticks.filter(Number.isInteger) : ticks;
    }
    text(v) { return this.axis.labels ? String(this.axis.labels[v] ?? '') : TC.number(v); }
  }
  const held = (low, high) => [Math.max(-Number.MAX_VALUE, low), Math.min(Number.MAX_VALUE, high)];
  function extent(panel, which, clip) {
    const axis = panel[which];
    if (axis.range) return axis.range.slice();
    if (axis.labels) return [-0.6, Math.max(0.6, axis.labels.length - 0.4)];
    const all = [];
    let zero = false;
    for (const m of panel.marks) {
      if (m.off) continue;
      const source = [m[which]];
      if (which === 'x' && m.x2) source.push(m.x2);
      if (m.kind === 'bars' && which === 'x') { zero = true; if (m.error) source[0] = Array.from(m.x, (v, k) => v + m.error[k]); }
      if (m.kind === 'columns' && which === 'y') zero = true;
      for (const values of source) for (let k = 0; k < (values || []).length; k++) {
        const v = values[k];
        if (Number.isFinite(v) && (!axis.log || v > 0)) all.push(v);
      }
    }
    if (!all.length) return axis.log ? [0.1, 1] : [0, 1];
    let low = Infinity, high = -Infinity;
    if (clip && all.length > 20) {
      const sorted = Float64Array.from(all).sort();
      low = sorted[Math.floor(sorted.length * 0.02)]; high = sorted[Math.ceil(sorted.length * 0.95) - 1];
    } else for (const v of all) { if (v < low) low = v; if (v > high) high = v; }
    if (zero) { low = Math.min(0, low); high = Math.max(0, high); }
    if (axis.log) {
      const pad = Math.pow(high, 0.04) / Math.pow(low, 0.04) || 1;
      return low === high ? held(Math.max(Number.MIN_VALUE, low / 2), high * 2) : held(Math.max(Number.MIN_VALUE, low / pad), high * pad);
    }
    const size = Math.max(Math.abs(low), Math.abs(high)), thin = high - low <= size * 1e-12; // no ticks are between
    const pad = thin ? size * (low === high ? 0.1 : 1e-11) || 0.5 : high * 0.04 - low * 0.04;
    return held(zero && low === 0 ? 0 : low - pad, zero && high === 0 ? 0 : high + pad);
  }
  function cut(context, text, width) {
    if (context.measureText(text).width <= width) return text;
    let keep = text.length;
    while (keep > 1 && context.measureText(text.slice(0, keep) + '…').width > width) keep--;
    return text.slice(0, keep) + '…';
  }

  // Only what is in sight is drawn.
  const eye = new IntersectionObserver((entries) => {
    for (const entry of entries) { const view = entry.target.view; view.seen = entry.isIntersecting; if (view.seen && view.stale) view.draw(); }
  }, { rootMargin: '400px' });
  window.addEventListener('beforeprint', () => all.forEach((chart) => chart.views.forEach((view) => { if (view.stale) view.draw(); })));

  // --- one panel ----------------------------------------------------------------------------------------------------
  class PanelView {
    constructor(chart, panel, holder) {
      this.chart = chart; this.panel = panel; this.zoom = null; this.cursor = -1;
      this.canvas = el('canvas', { tabindex: '0', role: 'img' });
      this.tip = el('div', { class: 'tc-tip', 'aria-live': 'polite' });
      this.frame = el('div', { class: 'tc-panel' }, this.canvas, this.tip);
      holder.append(this.frame);
      const on = (name, action) => this.canvas.addEventListener(name, action);
      on('mousemove', (e) => this.move(e)); on('mouseleave', () => { this.tip.hidden = true; });
      on('mousedown', (e) => { if (e.button === 0) this.drag = this.place(e); });
      on('mouseup', (e) => this.release(e)); on('dblclick', () => { this.zoom = null; this.draw(); });
      on('keydown', (e) => this.key(e));
      this.tip.hidden = true;
      this.canvas.style.height = chart.height + 'px'; this.canvas.style.width = '100%';
      this.canvas.setAttribute('aria-label', this.describe());
      this.canvas.view = this; this.stale = true;
      eye.observe(this.canvas);
    }
    refresh() { this.stale = true; if (this.seen) this.draw(); }
    place(e) { const box = this.canvas.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; }
    draw() {
      this.stale = false;
      const { panel, chart, canvas } = this;
      const width = Math.max(180, this.frame.clientWidth), height = chart.height, ratio = window.devicePixelRatio || 1;
      canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
      canvas.style.width = width + 'px'; canvas.style.height = height + 'px';
      canvas.setAttribute('aria-label', this.describe());
      const g = canvas.getContext('2d');
      g.setTransform(ratio, 0, 0, ratio, 0, 0);
      g.clearRect(0, 0, width, height);
      g.font = FONT;
      this.layout(g, width, height);
      this.axes(g, width, height);
      g.save(); g.beginPath();
      const b = this.box; g.rect(b.left - 1, b.top - 1, b.right - b.left + 2, b.bottom - b.top + 2); g.clip();
      for (const at of panel.rules || []) { g.strokeStyle = theme('axis'); g.lineWidth = 1; const x = this.x.at(at); g.beginPath(); g.moveTo(x, b.top); g.lineTo(x, b.bottom); g.stroke(); }
      for (const m of panel.marks) if (!m.off) this.marks(g, m);
      if (TC.selected !== undefined && TC.selected !== null) for (const m of panel.marks) if (!m.off) this.highlight(g, m, TC.selected);
      g.restore();
      this.texts(g);
      if (!panel.marks.some((m) => m.x.length)) { g.fillStyle = theme('soft'); g.textAlign = 'center'; g.fillText(TC.t('nothing to show'), (b.left + b.right) / 2, (b.top + b.bottom) / 2); }
    }
    describe() {
      const points = this.panel.marks.reduce((sum, m) => sum + m.x.length, 0);
      const axes = [this.panel.x.title, this.panel.y.title].filter(Boolean).join(', ');
      return `${this.panel.title || this.chart.spec.title}. ${axes}. ${points} ${TC.t('points')}. ${TC.t('Arrow keys move between points, Enter selects a trial.')}`;
    }
    layout(g, width, height) {
      const { panel } = this;
      let [x0, x1] = extent(panel, 'x', false), [y0, y1] = extent(panel, 'y', this.chart.clip);
      if (this.zoom) [x0, x1, y0, y1] = this.zoom;
      this.title = panel.title ? 20 : 4;
      let left = 10, bottom = 10;
      if (!panel.y.hidden) {
        const probe = new Scale1(panel.y, y0, y1, height - 40, 20);
        const widest = Math.max(20, ...probe.ticks(panel.y.labels ? Math.floor(height / 15) : 6).map((v) => g.measureText(probe.text(v)).width));
        left = Math.min(widest, width * 0.32) + (panel.y.title ? 30 : 14);
      }
      this.turned = false;
      if (!panel.x.hidden) {
        bottom = 38;
        if (panel.x.labels) {
          const room = (width - left) / Math.max(1, panel.x.labels.length), widest = Math.max(...panel.x.labels.map((t) => g.measureText(t).width));
          if (widest > room - 6) { this.turned = true; bottom = Math.min(96, 30 + widest * 0.75); }
        }
      }
      this.box = { left, right: width - (panel.x.hidden ? 10 : 16), top: this.title + 8, bottom: height - bottom };
      this.x = new Scale1(panel.x, x0, x1, this.box.left, this.box.right);
      this.y = new Scale1(panel.y, y0, y1, this.box.bottom, this.box.top);
    }
    axes(g, width, height) {
      const { panel, box, x, y } = this;
      g.textBaseline = 'middle';
      if (panel.title) { g.font = 'bold ' + FONT; g.fillStyle = theme('text'); g.textAlign = 'left'; g.fillText(cut(g, panel.title, width - 20), 8, 12); g.font = FONT; }
      g.lineWidth = 1;
      if (!panel.y.hidden) {
        g.textAlign = 'right';
        for (const v of y.ticks(panel.y.labels ? Math.floor((box.bottom - box.top) / 15) : 6)) {
          const at = Math.round(y.at(v)) + 0.5;
          if (at < box.top - 1 || at > box.bottom + 1) continue;
          g.strokeStyle = theme('grid'); g.beginPath(); g.moveTo(box.left, at); g.lineTo(box.right, at); g.stroke();
          g.fillStyle = theme('soft'); g.fillText(cut(g, y.text(v), box.left - (panel.y.title ? 26 : 8)), box.left - 6, at);
        }
        if (panel.y.title) { g.save(); g.translate(10, (box.top + box.bottom) / 2); g.rotate(-Math.PI / 2); g.textAlign = 'center'; g.fillStyle = theme('soft'); g.fillText(cut(g, TC.t(panel.y.title), box.bottom - box.top), 0, 0); g.restore(); }
      }
      if (!panel.x.hidden) {
        const count = panel.x.labels ? Math.max(2, Math.floor((box.right - box.left) / (this.turned ? 15 : 40))) : Math.max(2, Math.floor((box.right - box.left) / 80));
        for (const v of x.ticks(count)) {
          const at = Math.round(x.at(v)) + 0.5;
          if (at < box.left - 1 || at > box.right + 1) continue;
          g.strokeStyle = theme('grid'); g.beginPath(); g.moveTo(at, box.top); g.lineTo(at, box.bottom); g.stroke();
          g.fillStyle = theme('soft');
          if (this.turned) { g.save(); g.translate(at + 3, box.bottom + 8); g.rotate(-0.6); g.textAlign = 'right'; g.fillText(cut(g, x.text(v), 100), 0, 0); g.restore(); }
          else { g.textAlign = 'center'; g.fillText(x.text(v), at, box.bottom + 11); }
        }
        g.textAlign = 'center'; g.fillStyle = theme('soft');
        g.fillText(cut(g, TC.t(panel.x.title), box.right - box.left), (box.left + box.right) / 2, height - 9);
        g.strokeStyle = theme('axis'); g.beginPath(); g.moveTo(box.left + 0.5, box.top); g.lineTo(box.left + 0.5, box.bottom + 0.5); g.lineTo(box.right, box.bottom + 0.5); g.stroke();
      }
    }
    marks(g, m) {
      const { x, y, chart, box } = this, color = colorOf(m.color), n = m.x.length;
      g.globalAlpha = m.opacity; g.strokeStyle = g.fillStyle = color; g.lineWidth = m.width; g.lineJoin = 'round';
      if (m.kind === 'points') {
        const r = m.size / 2 * (n > 3000 ? 0.7 : 1), scale = m.values ? chart.spec.scale : null;
        if (m.symbol === 'x') { g.lineWidth = 1.4; g.beginPath(); for (let k = 0; k < n; k++) { const px = x.at(m.x[k]), py = y.at(m.y[k]); g.moveTo(px - r, py - r); g.lineTo(px + r, py + r); g.moveTo(px + r, py - r); g.lineTo(px - r, py + r); } g.stroke(); }
        else for (let k = 0; k < n; k++) {
          if (scale) g.fillStyle = sequential(scaled(scale, m.values[k]));
          g.beginPath(); g.arc(x.at(m.x[k]), y.at(m.y[k]), r, 0, 6.2832); g.fill();
          if (scale && n < 3000) { g.strokeStyle = theme('axis'); g.lineWidth = 0.5; g.stroke(); }
        }
      } else if (m.kind === 'line' || m.kind === 'steps') { g.beginPath(); this.path(g, m, 0, n); g.stroke(); }
      else if (m.kind === 'bars') {
        const half = Math.min(14, Math.abs(y.at(0) - y.at(1)) * 0.33), zero = x.at(0);
        for (let k = 0; k < n; k++) {
          const at = y.at(m.y[k]), to = x.at(m.x[k]);
          g.fillRect(zero, at - half, to - zero, 2 * half);
          if (m.error) { const e0 = x.at(Math.max(x.low, m.x[k] - m.error[k])), e1 = x.at(m.x[k] + m.error[k]); g.strokeStyle = theme('text'); g.lineWidth = 1; g.beginPath(); g.moveTo(e0, at); g.lineTo(e1, at); g.moveTo(e0, at - 3); g.lineTo(e0, at + 3); g.moveTo(e1, at - 3); g.lineTo(e1, at + 3); g.stroke(); }
        }
      } else if (m.kind === 'columns') {
        const half = Math.min(28, Math.abs(x.at(1) - x.at(0)) * 0.36);
        for (let k = 0; k < n; k++) { const a = y.at(m.y2 ? m.y2[k] : 0), b = y.at(m.y[k]); g.fillRect(x.at(m.x[k]) - half, b, 2 * half, a - b); }
      } else if (m.kind === 'spans') {
        const half = Math.max(1, Math.min(12, Math.abs(y.at(0) - y.at(1)) * 0.38));
        for (let k = 0; k < n; k++) { const a = x.at(m.x[k]), b = x.at(m.x2[k]); g.fillRect(a, y.at(m.y[k]) - half, Math.max(0.7, b - a - (b - a > 3 ? 0.7 : 0)), 2 * half); }
      } else if (m.kind === 'rug') { g.lineWidth = 1.3; g.beginPath(); for (let k = 0; k < n; k++) { const px = x.at(m.x[k]), py = box.bottom - 6; g.moveTo(px - 3, py - 3); g.lineTo(px + 3, py + 3); g.moveTo(px + 3, py - 3); g.lineTo(px - 3, py + 3); } g.stroke(); }
      else if (m.kind === 'heat' && chart.spec.scale) {
        const edges = (values, s) => { const p = Array.from(values, (v) => s.at(v)), e = []; for (let k = 0; k <= p.length; k++) e.push(k === 0 ? p[0] - (p[1] - p[0]) / 2 : k === p.length ? p[k - 1] + (p[k - 1] - p[k - 2]) / 2 : (p[k - 1] + p[k]) / 2); return e; };
        const ex = edges(m.x, x), ey = edges(m.y, y);
        for (let r = 0; r < m.y.length; r++) for (let c = 0; c < n; c++) { const v = m.values[r * n + c]; if (!Number.isFinite(v)) continue; g.fillStyle = sequential(scaled(chart.spec.scale, v)); const x0 = Math.round(ex[c]), y0 = Math.round(ey[r + 1]); g.fillRect(x0, y0, Math.round(ex[c + 1]) - x0, Math.round(ey[r]) - y0); }
      }
      g.globalAlpha = 1;
    }
    path(g, m, from, to) {
      const { x, y } = this, steps = m.kind === 'steps';
      let open = false, before = 0;
      for (let k = from; k < to; k++) {
        const px = x.at(m.x[k]), py = y.at(m.y[k]);
        if (!Number.isFinite(px) || !Number.isFinite(py)) { open = false; continue; }
        if (!open) { g.moveTo(px, py); if (!(k + 1 < to) || !Number.isFinite(m.y[k + 1])) { g.moveTo(px - 1, py); g.lineTo(px + 1, py); } } else { if (steps) g.lineTo(px, before); g.lineTo(px, py); }
        open = true; before = py;
      }
    }
    highlight(g, m, trial) {
      if (!m.ids) return;
      g.strokeStyle = theme('text'); g.fillStyle = theme('text'); g.lineWidth = 2.5;
      if (m.kind === 'line' || m.kind === 'steps') {
        for (let k = 0; k < m.ids.length; k++) if (m.ids[k] === trial) { let end = k; while (end < m.ids.length && m.ids[end] === trial) end++; g.beginPath(); this.path(g, m, k, end); g.stroke(); k = end; }
      } else if (m.kind === 'points' || m.kind === 'rug') {
        for (let k = 0; k < m.ids.length; k++) if (m.ids[k] === trial) { g.beginPath(); g.arc(this.x.at(m.x[k]), m.kind === 'rug' ? this.box.bottom - 6 : this.y.at(m.y[k]), m.size / 2 + 3, 0, 6.2832); g.stroke(); }
      } else if (m.kind === 'spans') for (let k = 0; k < m.ids.length; k++) if (m.ids[k] === trial) g.strokeRect(this.x.at(m.x[k]), this.y.at(m.y[k]) - 10, Math.max(2, this.x.at(m.x2[k]) - this.x.at(m.x[k])), 20);
    }
    texts(g) {
      g.font = SMALL; g.textBaseline = 'middle';
      const names = (this.panel.texts || []).filter((t) => t.above), room = names.length > 1 ? (this.box.right - this.box.left) / names.length : 400;
      for (const t of this.panel.texts || []) {
        const x = this.x.at(t.x) + (t.anchor === 'left' ? 5 : 0), y = this.y.at(t.y), text = cut(g, TC.t(t.text), room - 8);
        const width = g.measureText(text).width, left = t.anchor === 'center' ? x - width / 2 : t.anchor === 'right' ? x - width : x;
        g.globalAlpha = 0.75; g.fillStyle = theme('ground'); g.fillRect(left - 2, y - 7, width + 4, 14); g.globalAlpha = 1;
        g.textAlign = 'left'; g.fillStyle = theme('text'); g.fillText(text, left, y);
      }
      g.font = FONT;
    }
    // --- pointing -----------------------------------------------------------------------------------------------------
    hit(px, py) {
      let best = null, least = 16 * 16;
      for (const m of this.panel.marks) {
        if (m.off || m.kind === 'heat') continue;
        for (let k = 0; k < m.x.length; k++) {
          let dx, dy;
          if (m.kind === 'spans') { const a = this.x.at(m.x[k]), b = this.x.at(m.x2[k]); dx = px < a ? a - px : px > b ? px - b : 0; dy = Math.max(0, Math.abs(this.y.at(m.y[k]) - py) - 9); }
          else if (m.kind === 'bars') { dx = px <= this.x.at(m.x[k]) + 8 ? 0 : 99; dy = Math.max(0, Math.abs(this.y.at(m.y[k]) - py) - 10); }
          else if (m.kind === 'columns') { dx = Math.max(0, Math.abs(this.x.at(m.x[k]) - px) - 14); const a = this.y.at(m.y2 ? m.y2[k] : 0), b = this.y.at(m.y[k]); dy = py > a ? py - a : py < b ? b - py : 0; }
          else if (m.kind === 'rug') { dx = this.x.at(m.x[k]) - px; dy = this.box.bottom - 6 - py; }
          else { dx = this.x.at(m.x[k]) - px; dy = this.y.at(m.y[k]) - py; }
          const d = dx * dx + dy * dy;
          if (d <= least) { least = d; best = [m, k]; }
        }
      }
      return best;
    }
    move(e) {
      const [px, py] = this.place(e);
      if (this.drag && (e.buttons & 1)) { this.draw(); const g = this.canvas.getContext('2d'); g.strokeStyle = theme('accent'); g.strokeRect(this.drag[0], this.drag[1], px - this.drag[0], py - this.drag[1]); return; }
      const found = this.hit(px, py);
      if (found) this.show(found[0], found[1], px, py); else this.tip.hidden = true;
    }
    show(m, k, px, py) {
      const lines = [];
      if (m.ids) lines.push(`${TC.t('trial')} ${TC.trialName(m.ids[k])}`);
      if (m.name) lines.push(TC.t(m.name));
      if (m.hover) lines.push(m.hover[k]);
      else if (!this.panel.x.hidden) {
        const one = (axis, v) => `${TC.t(axis.title)}: ${axis.labels ? axis.labels[Math.round(v)] ?? TC.number(v) : TC.number(v)}`;
        if (m.kind === 'spans') lines.push(`${one(this.panel.y, m.y[k])}`, `${TC.number(m.x[k])} – ${TC.number(m.x2[k])} s`);
        else { lines.push(one(this.panel.x, m.x[k])); if (m.kind !== 'rug') lines.push(one(this.panel.y, m.y[k])); }
        if (m.values && this.chart.spec.scale && this.chart.spec.scale.title !== 'trial') lines.push(`${this.chart.spec.scale.title}: ${TC.number(m.values[k])}`);
      }
      this.tip.replaceChildren(...lines.map((line) => el('div', {}, line)));
      this.tip.hidden = false;
      const wide = this.tip.offsetWidth, right = px + 14 + wide > this.frame.clientWidth;
      this.tip.style.left = (right ? Math.max(0, px - wide - 10) : px + 14) + 'px';
      this.tip.style.top = Math.max(0, py - 10) + 'px';
    }
    release(e) {
      if (!this.drag) return;
      const [x1, y1] = this.place(e), [x0, y0] = this.drag;
      this.drag = null;
      if (Math.abs(x1 - x0) > 8 && Math.abs(y1 - y0) > 8 && !this.panel.x.hidden) {
        const xs = [this.x.back(x0), this.x.back(x1)].sort((a, b) => a - b), ys = [this.y.back(y0), this.y.back(y1)].sort((a, b) => a - b);
        this.zoom = [...xs, ...ys]; this.draw(); return;
      }
      const found = this.hit(x1, y1);
      if (found && found[0].ids) TC.select(found[0].ids[found[1]]);
    }
    key(e) {
      const order = [];
      for (const m of this.panel.marks) if (!m.off && m.kind !== 'heat') for (let k = 0; k < m.x.length && order.length < 20000; k++) if (Number.isFinite(m.x[k])) order.push([m, k]);
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10 }[e.key];
      if (step && order.length) {
        this.cursor = Math.min(order.length - 1, Math.max(0, this.cursor + step));
        const [m, k] = order[this.cursor];
        this.show(m, k, this.x.at(m.x[k]), m.kind === 'rug' ? this.box.bottom : this.y.at(m.y[k]));
        e.preventDefault();
      } else if (e.key === 'Enter' && order[this.cursor] && order[this.cursor][0].ids) { TC.select(order[this.cursor][0].ids[order[this.cursor][1]]); e.preventDefault(); }
      else if (e.key === 'Escape') { this.zoom = null; this.tip.hidden = true; this.draw(); }
    }
  }

  // --- a chart ------------------------------------------------------------------------------------------------------
  class ChartView {
    constructor(holder, spec, options) { this.holder = holder; this.options = options || {}; this.clip = false; this.views = []; this.off = new Set(); this.update(spec); all.add(this); }
    update(spec) {
      const zooms = this.views.map((v) => v.zoom);
      for (const panel of spec.panels) for (const m of panel.marks) { for (const name of ['x', 'y', 'x2', 'y2', 'values', 'error', 'ids']) if (m[name]) m[name] = TC.unpack(m[name]); m.off = this.off.has(m.name); }
      this.spec = spec; this.height = spec.height;
      this.views = [];
      const grid = el('div', { class: 'tc-grid' });
      grid.style.gridTemplateColumns = `repeat(auto-fit, minmax(min(100%, ${spec.columns > 2 ? 300 : spec.columns > 1 ? 380 : 560}px), 1fr))`;
      const parts = [];
      if (!this.options.bare) parts.push(el('h3', {}, TC.titleOf ? TC.titleOf(spec) : spec.title));
      parts.push(this.tools(), grid);
      if (spec.scale && spec.panels.some((p) => p.marks.length)) parts.push(this.colorBar());
      if (spec.note) parts.push(el('p', { class: 'tc-note' }, spec.note.split('. ').map(TC.t).join('. ') + '.'));
      this.holder.replaceChildren(...parts);
      spec.panels.forEach((panel, k) => { const view = new PanelView(this, panel, grid); view.zoom = zooms[k] || null; this.views.push(view); });
      this.draw();
    }
    tools() {
      const tools = el('div', { class: 'tc-tools' });
      const names = new Map();
      for (const panel of this.spec.panels) for (const m of panel.marks) if (m.name && m.legend && m.x.length && this.spec.legend) names.set(m.name, m);
      for (const [name, m] of names) {
        const swatch = el('span', { class: 'tc-swatch' + (m.kind === 'line' || m.kind === 'steps' ? ' tc-line' : ''), 'aria-hidden': 'true' });
        swatch.dataset.color = String(m.color); swatch.style.background = colorOf(m.color);
        const button = el('button', { type: 'button', 'aria-pressed': String(!this.off.has(name)), title: TC.t('show or hide') }, swatch, TC.t(name));
        button.addEventListener('click', () => {
          if (this.off.has(name)) this.off.delete(name); else this.off.add(name);
          button.setAttribute('aria-pressed', String(!this.off.has(name)));
          for (const panel of this.spec.panels) for (const mark of panel.marks) mark.off = this.off.has(mark.name);
          this.draw();
        });
        tools.append(button);
      }
      const numeric = this.spec.panels.filter((p) => !p.y.hidden && !p.y.labels && p.marks.some((m) => m.kind === 'points' || m.kind === 'line'));
      if (numeric.length && numeric.length === this.spec.panels.length && this.spec.kind !== 'contour') {
        tools.append(this.toggle('log', () => numeric.every((p) => p.y.log), (on) => numeric.forEach((p) => { p.y.log = on; })));
        tools.append(this.toggle('clip outliers', () => this.clip, (on) => { this.clip = on; }));
      }
      return tools;
    }
    toggle(name, get, set) {
      const button = el('button', { type: 'button', class: 'tc-toggle', 'aria-pressed': String(get()) }, TC.t(name));
      button.addEventListener('click', () => { set(!get()); button.setAttribute('aria-pressed', String(get())); this.views.forEach((v) => { v.zoom = null; }); this.draw(); });
      return button;
    }
    colorBar() {
      const { scale } = this.spec, bar = el('canvas', { width: '160', height: '12', 'aria-hidden': 'true' }), g = bar.getContext('2d');
      for (let k = 0; k < 160; k++) { g.fillStyle = sequential(scale.reverse ? 1 - k / 159 : k / 159); g.fillRect(k, 0, 1, 12); }
      return el('div', { class: 'tc-scale' }, `${TC.t(scale.title)}: `, el('span', {}, TC.number(scale.low)), bar, el('span', {}, TC.number(scale.high)), scale.log ? ` (${TC.t('log')})` : '');
    }
    draw() { styles = null; for (const view of this.views) view.refresh(); for (const s of this.holder.querySelectorAll('.tc-swatch')) s.style.background = colorOf(isNaN(s.dataset.color) ? s.dataset.color : Number(s.dataset.color)); }
    remove() { all.delete(this); this.holder.replaceChildren(); }
  }
  const all = new Set();
  TC.chart = (holder, spec, options) => new ChartView(holder, spec, options);
  TC.redraw = () => all.forEach((chart) => { if (chart.holder.isConnected) chart.draw(); else all.delete(chart); });
  TC.selected = null;
  TC.select = function (trial) {
    TC.selected = trial === TC.selected ? null : trial;
    TC.redraw();
    document.dispatchEvent(new CustomEvent('tc:select', { detail: TC.selected }));
  };
  let waiting = 0;
  window.addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(TC.redraw, 80); });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => TC.redraw());
  TC.setTheme = function (name) { if (name) document.documentElement.dataset.theme = name; else delete document.documentElement.dataset.theme; TC.redraw(); };
  TC.data = (id) => JSON.parse(document.getElementById(id).textContent);
})();
