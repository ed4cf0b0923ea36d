// A table of many rows: only those in sight are in the page; sorts, filters and hides columns.
(function () {
  'use strict';
  const TC = window.TC, el = TC.el, t = TC.t, HEIGHT = 27, SPARE = 12;

  // `lr<0.01 opt=adam diverged`: conditions on columns, and words that some cell must contain.
  function parse(query, columns) {
    const tests = [], byName = new Map(columns.map((c) => [c.title.toLowerCase(), c]));
    for (const part of query.match(/"[^"]*"|\S+/g) || []) {
      const found = /^([^<>=!]+)(<=|>=|!=|<|>|=)(.+)$/.exec(part);
      const column = found && byName.get(found[1].toLowerCase());
      if (column) {
        const sign = found[2], text = found[3].toLowerCase(), number = Number(found[3]);
        tests.push((row) => {
          const shown = column.text(row).toLowerCase(), value = column.number ? column.number(row) : Number(shown);
          if (sign === '=') return shown === text || (shown !== '' && value === number) || (column.number && Number.isFinite(number) && Math.abs(value - number) <= 1e-6 * Math.abs(number));
          if (sign === '!=') return shown !== text;
          if (!Number.isFinite(value) || shown === '') return false;
          return sign === '<' ? value < number : sign === '>' ? value > number : sign === '<=' ? value <= number : value >= number;
        });
      } else {
        const word = part.replace(/"/g, '').toLowerCase();
        tests.push((row) => columns.some((c) => c.text(row).toLowerCase().includes(word)));
      }
    }
    return (row) => tests.every((test) => test(row));
  }

  class Table {
    constructor(holder, source, options) {
      this.options = options || {}; this.sortBy = this.options.sortBy || null; this.down = !!this.options.down; this.hidden = new Set(); this.selected = null; this.query = '';
      this.search = el('input', { type: 'search', placeholder: t('Filter: words, or e.g. loss<0.5'), 'aria-label': t('Filter trials') });
      this.search.addEventListener('input', () => { this.query = this.search.value; this.order(); });
      this.count = el('span', { role: 'status' });
      this.menu = el('details', { class: 'tc-columns' }, el('summary', {}, t('columns')));
      this.body = el('tbody'); this.head = el('thead');
      this.grid = el('table', { 'aria-label': this.options.label || t('trials') }, this.head, this.body);
      this.frame = el('div', { class: 'tc-table', tabindex: '0', role: 'region', 'aria-label': t('Table of trials. Up and down move, Enter opens.') }, this.grid);
      this.frame.addEventListener('scroll', () => this.paint());
      this.frame.addEventListener('keydown', (e) => this.key(e));
      holder.replaceChildren(el('div', { class: 'tc-bar' }, this.search, this.count, this.menu), this.frame);
      this.set(source);
    }
    set(source) {
      this.source = source;
      const names = source.columns.map((c) => c.title).join('\n');
      if (names !== this.names) { this.names = names; this.heads(); }
      this.order();
    }
    visible() { return this.source.columns.filter((c) => !this.hidden.has(c.title)); }
    heads() {
      this.head.replaceChildren(el('tr', {}, ...this.visible().map((column) => {
        const sorted = this.sortBy === column.title;
        const button = el('button', { type: 'button', title: t('sort') }, t(column.title), sorted ? (this.down ? ' ▼' : ' ▲') : '');
        button.addEventListener('click', () => { if (this.sortBy === column.title) this.down = !this.down; else { this.sortBy = column.title; this.down = false; } this.heads(); this.order(); });
        return el('th', { scope: 'col', 'aria-sort': sorted ? (this.down ? 'descending' : 'ascending') : null }, button);
      })));
      const boxes = this.source.columns.map((column) => {
        const box = el('input', { type: 'checkbox' });
        box.checked = !this.hidden.has(column.title);
        box.addEventListener('change', () => { if (box.checked) this.hidden.delete(column.title); else this.hidden.add(column.title); this.heads(); this.paint(true); });
        return el('label', {}, box, ' ', t(column.title), ' ');
      });
      this.menu.replaceChildren(this.menu.firstChild, el('div', {}, ...boxes));
    }
    order() {
      const { source } = this, rows = [], passes = parse(this.query, source.columns), extra = this.options.filter;
      for (let row = 0; row < source.count; row++) if (passes(row) && (!extra || extra(row))) rows.push(row);
      const column = source.columns.find((c) => c.title === this.sortBy);
      if (column) {
        const sign = this.down ? -1 : 1;
        if (column.number) {
          const keys = new Float64Array(source.count);
          for (const row of rows) keys[row] = column.number(row);
          rows.sort((a, b) => { const x = keys[a], y = keys[b], nx = Number.isNaN(x), ny = Number.isNaN(y); return nx || ny ? nx - ny || a - b : sign * (x - y) || a - b; });
        } else {
          const keys = new Map(rows.map((row) => [row, column.text(row)]));
          rows.sort((a, b) => { const x = keys.get(a), y = keys.get(b); return x === y ? a - b : x === '' ? 1 : y === '' ? -1 : sign * (x < y ? -1 : 1); });
        }
      }
      this.rows = rows;
      const said = rows.length === source.count ? `${source.count} ${t('trials')}` : `${rows.length} ${t('of')} ${source.count} ${t('trials')}`;
      if (this.count.textContent !== said) this.count.textContent = said;
      this.paint(true);
    }
    paint(force) {
      const first = Math.max(0, Math.floor(this.frame.scrollTop / HEIGHT) - SPARE), last = Math.min(this.rows.length, first + Math.ceil(this.frame.clientHeight / HEIGHT) + 2 * SPARE);
      if (!force && this.first === first && this.last === last) return;
      this.first = first; this.last = last;
      const columns = this.visible(), lines = [], space = (height) => { const td = el('td', { colspan: String(columns.length) }); td.style.height = height + 'px'; td.style.padding = '0'; return el('tr', { 'aria-hidden': 'true' }, td); };
      if (first > 0) lines.push(space(first * HEIGHT));
      for (let k = first; k < last; k++) {
        const row = this.rows[k], trial = this.source.id(row);
        const line = el('tr', { 'aria-selected': String(trial === this.selected), 'aria-rowindex': String(k + 2) }, ...columns.map((column) => { const text = column.text(row); const td = el('td', { class: column.number ? 'tc-num' : null, title: text.length > 40 ? text : null }, text); if (column.color) td.style.color = column.color(row); return td; }));
        line.addEventListener('click', () => this.pick(trial));
        lines.push(line);
      }
      if (last < this.rows.length) lines.push(space((this.rows.length - last) * HEIGHT));
      if (!this.rows.length) lines.push(el('tr', {}, el('td', { colspan: String(columns.length) }, t('no trials'))));
      this.grid.setAttribute('aria-rowcount', String(this.rows.length + 1));
      this.body.replaceChildren(...lines);
    }
    pick(trial) { this.mark(trial); if (this.options.onSelect) this.options.onSelect(trial); }
    mark(trial) { this.selected = trial; this.paint(true); }
    show(trial) {
      this.mark(trial);
      const k = this.rows.findIndex((row) => this.source.id(row) === trial);
      if (k < 0) return;
      const top = k * HEIGHT;
      if (top < this.frame.scrollTop || top > this.frame.scrollTop + this.frame.clientHeight - 3 * HEIGHT) this.frame.scrollTop = Math.max(0, top - 3 * HEIGHT);
      this.paint(true);
    }
    key(e) {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12, Home: -1e9, End: 1e9 }[e.key];
      if (e.target !== this.frame) return;
      if (step) {
        const at = this.rows.findIndex((row) => this.source.id(row) === this.selected), to = Math.min(this.rows.length - 1, Math.max(0, (at < 0 && step > 0 && step < 100 ? -1 : Math.max(at, 0)) + step));
        if (this.rows.length) this.show(this.source.id(this.rows[to]));
        e.preventDefault();
      } else if (e.key === 'Enter' && this.selected !== null) { this.pick(this.selected); e.preventDefault(); }
    }
  }
  TC.table = (holder, source, options) => new Table(holder, source, options);

  // Columns as Python sends them: numbers packed or listed, texts as codes of labels.
  TC.columns = function (sent) {
    return sent.map((column) => {
      if (column.labels) { const codes = TC.unpack(column.codes), labels = column.labels; return { title: column.title, text: (row) => (codes[row] < 0 ? '' : labels[codes[row]]) }; }
      const values = TC.unpack(column.values);
      const pad = column.pad;
      return { title: column.title, number: (row) => values[row], text: (row) => (Number.isNaN(values[row]) ? '' : pad ? TC.trialName(values[row]) : TC.number(values[row])) };
    });
  };
})();
