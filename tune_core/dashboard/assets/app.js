// The dashboard's page. Everything from a journal becomes text or a drawing, never HTML.
(function () {
  'use strict';
  const TC = window.TC, el = TC.el, settings = TC.data('settings'), app = document.getElementById('app');
  const t = (text) => TC.t(text);
  const KINDS = ['history', 'learning_curves', 'parallel_coordinates', 'slices', 'contour', 'importance', 'rungs', 'pbt_lineage', 'timeline'];
  let leave = () => {}; // stops what the present view has going on

  async function get(path) {
    const answer = await fetch(path, { credentials: 'same-origin' });
    if (!answer.ok) throw new Error((await answer.text()).slice(0, 300));
    return answer.json();
  }
  async function send(id, command) {
    const answer = await fetch(`/api/experiment/${id}/command`, { method: 'POST', credentials: 'same-origin', headers: { 'X-Tune-Core': '1', 'Content-Type': 'application/json' }, body: JSON.stringify(command) });
    return answer.ok ? t('sent; the run takes it at its next look') : (await answer.text()).trim();
  }
  const duration = (s) => (s < 60 ? `${s.toFixed(1)} s` : s < 3600 ? `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`);
  const moment = (at) => new Date(at * 1000).toLocaleString(TC.language === 'zh' ? 'zh-CN' : undefined);
  const countsText = (counts) => Object.entries(counts || {}).map(([name, n]) => `${n} ${t(name)}`).join(', ');
  const facts = (pairs) => el('dl', { class: 'tc-facts' }, ...pairs.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
  const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };

  function frame(content) {
    const language = el('select', { 'aria-label': t('language') }, el('option', { value: 'en' }, 'English'), el('option', { value: 'zh' }, '中文'));
    language.value = TC.language;
    language.addEventListener('change', () => { TC.setLanguage(language.value); try { localStorage.setItem('tune-core-language', language.value); } catch (e) { /* no storage */ } route(); });
    const colours = el('select', { 'aria-label': t('colours') }, el('option', { value: '' }, t('system colours')), el('option', { value: 'light' }, t('light')), el('option', { value: 'dark' }, t('dark')));
    colours.value = document.documentElement.dataset.theme || '';
    colours.addEventListener('change', () => TC.setTheme(colours.value));
    app.replaceChildren(
      el('a', { class: 'app-skip', href: '#main', onclick: (e) => { e.preventDefault(); document.getElementById('main').focus(); } }, t('Skip to content')),
      el('header', { class: 'app-top' }, el('strong', {}, el('a', { href: '#/' }, 'tune-core')), el('a', { href: '#/' }, t('Experiments')), language, colours),
      el('main', { class: 'app-main', id: 'main', tabindex: '-1' }, ...content));
  }

  // --- the list -----------------------------------------------------------------------------------------------------
  async function list() {
    const body = el('tbody'), chosen = new Set(), note = el('p', { role: 'status' }, t('Loading…'));
    const search = el('input', { type: 'search', 'aria-label': t('name'), placeholder: t('name') });
    const compare = el('button', { type: 'button', onclick: () => { if (chosen.size > 1) location.hash = `#/compare/${[...chosen].join(',')}`; else set(note, t('Choose two or more experiments to compare.')); } }, t('Compare'));
    frame([el('h1', {}, t('Experiments')), el('div', { class: 'tc-bar' }, search, compare), note,
      el('table', { class: 'app-list' }, el('thead', {}, el('tr', {}, ...['choose', 'name', 'state', 'trials', 'best', 'started', 'took'].map((h) => el('th', { scope: 'col' }, t(h))))), body)]);
    let rows = [], shown = '';
    const paint = () => {
      const wanted = rows.filter((row) => row.name.toLowerCase().includes(search.value.toLowerCase()));
      const key = JSON.stringify([wanted, TC.language]);
      if (key === shown) return;
      shown = key;
      body.replaceChildren(...wanted.map((row) => {
        const box = el('input', { type: 'checkbox', 'aria-label': `${t('compare')}: ${row.name}` });
        box.checked = chosen.has(row.id);
        box.addEventListener('change', () => { if (box.checked) chosen.add(row.id); else chosen.delete(row.id); });
        return el('tr', {}, el('td', {}, box), el('td', {}, el('a', { href: `#/experiment/${row.id}` }, row.name)), el('td', {}, el('span', { class: 'tc-state' }, t(row.state))), el('td', {}, `${row.trials}${row.counts ? `: ${countsText(row.counts)}` : ''}`), el('td', {}, row.best === null || row.best === undefined ? '' : `${row.metric} = ${TC.number(row.best)}`), el('td', {}, moment(row.started)), el('td', {}, row.took === undefined ? '' : duration(row.took)));
      }));
    };
    search.addEventListener('input', paint);
    const look = async () => {
      try { rows = (await get('/api/experiments')).experiments; set(note, rows.length ? '' : t('No experiments yet.')); paint(); } catch (error) { set(note, String(error.message)); }
    };
    await look();
    const timer = setInterval(look, 2000);
    leave = () => clearInterval(timer);
  }

  // --- one experiment -----------------------------------------------------------------------------------------------
  async function experiment(id) {
    const title = el('h1', {}, t('Loading…')), head = el('div'), state = el('span', { class: 'tc-state' }), live = el('span', { class: 'app-live', role: 'status' });
    const tabs = el('div', { class: 'app-tabs', role: 'tablist', 'aria-label': t('Overview') }), panel = el('div', { role: 'tabpanel', tabindex: '0' }), side = el('aside', { class: 'app-side', 'aria-label': t('trial') });
    const two = el('div', { class: 'app-two app-one' }, panel, side);
    const said = el('span', { role: 'status' });
    const controls = el('div', { class: 'tc-bar' }, el('a', { href: `/api/experiment/${id}/report`, download: '' }, t('Download report')));
    if (settings.control) {
      const button = (text, command) => el('button', { type: 'button', onclick: async () => set(said, await send(id, command())) }, t(text));
      const budget = el('input', { type: 'number', min: '1', 'aria-label': t('Time budget (s)'), placeholder: t('Time budget (s)') });
      controls.append(button('Stop run', () => ({ do: 'stop_run' })), button('Hold', () => ({ do: 'hold' })), button('Resume', () => ({ do: 'resume' })), budget, button('Set', () => ({ do: 'time_budget', seconds: Number(budget.value) })));
    }
    controls.append(said);
    frame([el('div', { class: 'tc-bar' }, title, state, live), head, controls, tabs, two]);

    let summary = null, seen = -1, busy = false, current = 'Overview', refresh = async () => {}, selected = null, trialTimer = 0, gone = false;
    const data = { ids: [], at: new Map(), columns: new Map(), titles: [], version: 0 };

    function header() {
      set(title, summary.name); set(state, t(summary.state));
      const best = summary.best === null ? '' : `${summary.metric} = ${TC.number(summary.best)} (${t('trial')} ${TC.trialName(summary.best_trial)})`;
      head.replaceChildren(el('div', { class: 'tc-card' }, facts([[t('trials'), `${summary.trials}: ${countsText(summary.counts)}`], [t('best'), best], [t('metric'), summary.metric ? `${summary.metric} (${summary.mode || ''})` : ''], [t('results'), String(summary.reports)], [t('started'), moment(summary.started)], [t('took'), duration(summary.took)], [t('scheduler'), summary.scheduler], [t('searcher'), summary.searcher], [t('seed'), String(summary.seed)]])));
    }
    async function fetchRows() {
      const found = await get(`/api/experiment/${id}/rows?since=${data.version}`);
      data.version = found.version;
      const columns = TC.columns(found.columns);
      for (const trial of found.ids) if (!data.at.has(trial)) { data.at.set(trial, data.ids.length); data.ids.push(trial); }
      for (const column of columns) {
        let kept = data.columns.get(column.title);
        if (!kept) { kept = { numeric: !!column.number, pad: column.title === 'trial', values: [] }; data.columns.set(column.title, kept); data.titles.push(column.title); }
        if (kept.numeric && !column.number) { kept.numeric = false; kept.values = kept.values.map((v) => (Number.isNaN(v) || v === undefined ? '' : TC.number(v))); }
        found.ids.forEach((trial, row) => { kept.values[data.at.get(trial)] = kept.numeric ? (column.number ? column.number(row) : NaN) : column.text(row); });
      }
    }
    function source() {
      const order = data.titles.filter((x) => x !== 'reason').concat(data.titles.includes('reason') ? ['reason'] : []);
      const columns = order.map((name) => {
        const { values, numeric, pad } = data.columns.get(name);
        if (!numeric) return { title: name, text: (row) => (name === 'outcome' ? t(values[row] || '') : values[row] || '') };
        return { title: name, number: (row) => (values[row] === undefined ? NaN : values[row]), text: (row) => { const v = values[row]; return v === undefined || Number.isNaN(v) ? '' : pad ? TC.trialName(v) : TC.number(v); } };
      });
      return { columns, count: data.ids.length, id: (row) => data.ids[row] };
    }
    const views = {
      async Overview() {
        const boxes = ['history', 'learning_curves'].map((kind) => [kind, el('div', { class: 'tc-card' })]);
        panel.replaceChildren(...boxes.map((pair) => pair[1]));
        const drawn = new Map();
        refresh = async () => { for (const [kind, box] of boxes) { const spec = await get(`/api/experiment/${id}/chart/${kind}`); if (drawn.has(kind)) drawn.get(kind).update(spec); else { drawn.set(kind, TC.chart(box, spec)); } } };
        await refresh();
      },
      async Trials() {
        const box = el('div');
        panel.replaceChildren(box);
        await fetchRows();
        const table = TC.table(box, source(), { label: t('trials'), sortBy: summary.metric, down: summary.mode === 'max', onSelect: (trial) => { if (TC.selected !== trial) TC.select(trial); else open(trial); } });
        refresh = async () => { await fetchRows(); table.set(source()); };
        panel.mark = (trial) => (trial === null ? table.mark(null) : table.show(trial));
      },
      async Charts() {
        const choice = el('select', { 'aria-label': t('Charts') }, ...KINDS.map((kind) => el('option', { value: kind }, TC.chartName(kind)))), box = el('div', { class: 'tc-card' });
        panel.replaceChildren(el('div', { class: 'tc-bar' }, choice), box);
        choice.value = 'parallel_coordinates';
        let view = null;
        const show = async () => { const kind = choice.value, spec = await get(`/api/experiment/${id}/chart/${kind}`); if (kind !== choice.value) return; if (view) view.remove(); view = TC.chart(box, spec); };
        choice.addEventListener('change', show);
        refresh = async () => { const spec = await get(`/api/experiment/${id}/chart/${choice.value}`); if (view && view.spec.kind === spec.kind) view.update(spec); };
        await show();
      },
      async Workers() {
        const box = el('div');
        panel.replaceChildren(box);
        refresh = async () => {
          const found = await get(`/api/experiment/${id}/workers`);
          const table = (heads, rows) => el('table', { class: 'app-list' }, el('thead', {}, el('tr', {}, ...heads.map((h) => el('th', { scope: 'col' }, t(h))))), el('tbody', {}, ...rows.map((row) => el('tr', {}, ...row.map((cell) => el('td', {}, cell))))));
          const link = (trial) => el('button', { type: 'button', onclick: () => open(trial) }, TC.trialName(trial));
          box.replaceChildren(el('h2', {}, t('running')), found.running.length ? table(['worker', 'trial', 'since', 'iterations'], found.running.map((r) => [r.worker, link(r.trial), moment(r.since), String(r.iterations)])) : el('p', {}, t('Nothing runs.')),
            el('h2', {}, `${t('waiting')}: ${found.waiting_total}`), found.waiting.length ? table(['trial', 'state', 'why'], found.waiting.map((r) => [link(r.trial), t(r.status.toLowerCase()), r.why])) : el('p', {}, t('Nothing waits.')));
        };
        await refresh();
      },
    };
    async function choose(name) {
      current = name; panel.mark = null;
      for (const tab of tabs.children) { const on = tab.dataset.name === name; tab.setAttribute('aria-selected', String(on)); tab.tabIndex = on ? 0 : -1; }
      try { await views[name](); } catch (error) { panel.replaceChildren(el('p', { role: 'alert' }, String(error.message))); }
    }
    for (const name of Object.keys(views)) tabs.append(el('button', { type: 'button', role: 'tab', 'data-name': name, 'aria-selected': 'false', onclick: () => choose(name) }, t(name)));
    tabs.addEventListener('keydown', (e) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key], all = [...tabs.children];
      if (!step) return;
      const next = all[(all.findIndex((tab) => tab.dataset.name === current) + step + all.length) % all.length];
      choose(next.dataset.name); next.focus(); e.preventDefault();
    });

    // a trial beside what is shown
    function close() { selected = null; side.replaceChildren(); two.classList.add('app-one'); TC.redraw(); }
    async function open(trial) {
      selected = trial;
      let found;
      try { found = await get(`/api/experiment/${id}/trial/${trial}`); } catch (error) { return; }
      if (selected !== trial || gone) return;
      const sameTrial = side.dataset.trial === String(trial), output = el('pre', { class: 'app-out', tabindex: '0', 'aria-label': t('output') }, found.output);
      const scroll = side.scrollTop;
      side.dataset.trial = String(trial);
      two.classList.remove('app-one');
      const parts = [el('div', { class: 'tc-bar' }, el('h2', {}, `${t('trial')} ${TC.trialName(trial)}`), el('button', { type: 'button', onclick: () => { TC.selected = null; close(); } }, t('close')))];
      if (settings.control && ['running', 'pending', 'paused'].includes(found.outcome)) { const note = el('span', { role: 'status' }); parts.push(el('div', { class: 'tc-bar' }, el('button', { type: 'button', onclick: async () => set(note, await send(id, { do: 'stop', trial })) }, t('Stop trial')), note)); }
      parts.push(facts([[t('outcome'), t(found.outcome)], [t('reason'), found.reason], [t('worker'), found.worker || ''], [t('attempts'), String(found.attempts)]]));
      const curve = el('div');
      parts.push(curve, el('h3', {}, t('configuration')), facts(found.config), el('h3', {}, t('last result')), facts(found.metrics));
      if (found.steps.length) parts.push(el('h3', {}, t('decisions')), el('ol', {}, ...found.steps.map((s) => el('li', {}, `${s.iteration}: ${s.do}: ${s.why}`))));
      if (found.error) parts.push(el('h3', {}, t('error')), el('pre', { class: 'app-out', tabindex: '0', 'aria-label': t('error') }, found.error));
      if (found.checkpoints.length) parts.push(el('h3', {}, t('checkpoints')), el('ul', {}, ...found.checkpoints.map((name) => el('li', {}, name))));
      if (found.output) parts.push(el('h3', {}, t('output')), output);
      side.replaceChildren(el('div', { class: 'tc-card' }, ...parts));
      output.scrollTop = output.scrollHeight;
      if (sameTrial) side.scrollTop = scroll;
      if (found.metric) TC.chart(curve, { kind: 'curve', title: found.metric, note: '', columns: 1, height: 180, legend: false, scale: null, panels: [{ title: '', x: { title: 'training_iteration', integer: true }, y: { title: found.metric }, rules: [], texts: [], marks: [{ kind: 'line', x: found.iterations, y: found.values, name: '', color: 'accent', width: 1.6, opacity: 1, size: 4, legend: false, symbol: 'circle' }, { kind: 'points', x: found.iterations, y: found.values, name: '', color: 'accent', width: 1, opacity: 1, size: 4, legend: false, symbol: 'circle' }] }] }, { bare: true });
    }
    const onSelect = (e) => { if (panel.mark) panel.mark(e.detail); if (e.detail === null) close(); else open(e.detail); };
    document.addEventListener('tc:select', onSelect);

    async function work() {
      if (busy || gone) return;
      busy = true;
      try { header(); if (summary.version !== seen) { seen = summary.version; await refresh(); if (selected !== null) await open(selected); } } catch (error) { set(live, String(error.message)); } finally { busy = false; }
    }
    try { summary = await get(`/api/experiment/${id}/summary`); } catch (error) { frame([el('p', { role: 'alert' }, String(error.message)), el('a', { href: '#/' }, t('back to the list'))]); return; }
    seen = summary.version;
    header();
    await choose('Overview');
    const stream = new EventSource(`/api/experiment/${id}/events`);
    stream.onmessage = (message) => { summary = JSON.parse(message.data); set(live, summary.state === 'running' ? t('live') : ''); work(); };
    stream.onerror = () => set(live, t('connection lost, trying again'));
    leave = () => { gone = true; stream.close(); clearInterval(trialTimer); document.removeEventListener('tc:select', onSelect); TC.selected = null; };
  }

  // --- several ------------------------------------------------------------------------------------------------------
  async function comparison(ids) {
    frame([el('h1', {}, t('Compare')), el('p', {}, t('Loading…'))]);
    const found = await get(`/api/compare?ids=${ids}`);
    const rows = [['state', (r) => t(r.state)], ['trials', (r) => `${r.trials}: ${countsText(r.counts)}`], ['best', (r) => (r.best === null ? '' : `${r.metric} = ${TC.number(r.best)}`)], ['took', (r) => duration(r.took)], ['scheduler', (r) => r.scheduler], ['searcher', (r) => r.searcher], ...found.parameters.map((name) => [name, (r) => r.config[name] ?? ''])];
    const boxes = found.charts.map((spec) => [el('div', { class: 'tc-card' }), spec]);
    frame([el('h1', {}, t('Compare')), el('table', { class: 'app-list' }, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, t('parameter')), ...found.runs.map((r) => el('th', { scope: 'col' }, r.name)))), el('tbody', {}, ...rows.map(([name, cell]) => el('tr', {}, el('th', { scope: 'row' }, t(name)), ...found.runs.map((r) => el('td', {}, cell(r))))))), ...boxes.map((pair) => pair[0])]);
    for (const [box, spec] of boxes) TC.chart(box, spec);
  }

  async function route() {
    leave(); leave = () => {};
    TC.selected = null;
    const [, where, rest] = location.hash.split('/');
    try {
      if (where === 'experiment') await experiment(rest);
      else if (where === 'compare') await comparison(rest);
      else await list();
    } catch (error) { frame([el('p', { role: 'alert' }, String(error.message)), el('a', { href: '#/' }, t('back to the list'))]); }
  }
  window.addEventListener('hashchange', route);
  route();
})();
