// Fills the report from its data. Every string of the experiment becomes text, never HTML.
(function () {
  'use strict';
  const TC = window.TC, el = TC.el, t = TC.t, data = TC.data('report-data');
  const main = document.getElementById('report');

  function facts(pairs) {
    return el('dl', { class: 'tc-facts' }, ...pairs.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
  }
  function copyable(kinds) {
    const code = el('pre', { tabindex: '0', 'aria-label': 'best configuration' }), names = Object.keys(kinds), said = el('span', { role: 'status' });
    const buttons = names.map((name) => el('button', { type: 'button', onclick: () => show(name) }, name));
    function show(name) { code.textContent = kinds[name]; names.forEach((n, k) => buttons[k].setAttribute('aria-pressed', String(n === name))); said.textContent = ''; }
    const copy = el('button', { type: 'button', onclick: () => {
      const done = () => { said.textContent = 'copied'; };
      const select = () => { const range = document.createRange(); range.selectNodeContents(code); getSelection().removeAllRanges(); getSelection().addRange(range); if (document.execCommand('copy')) done(); };
      if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(code.textContent).then(done, select); else select();
    } }, 'Copy');
    show(names[0]);
    return el('div', {}, el('div', { class: 'tc-bar' }, ...buttons, copy, said), code);
  }
  function trialCard(run, trial) {
    const at = run.trials.indexOf(trial), columns = run.table.filter((c) => c.title !== 'trial');
    const parts = [el('h3', {}, `Trial ${TC.trialName(trial)}`), facts(columns.map((c) => [c.title, c.text(at)]).filter((p) => p[1] !== ''))];
    const steps = run.steps[String(trial)];
    if (steps) parts.push(el('h4', {}, 'Decisions'), el('ol', {}, ...steps.map((s) => el('li', {}, s))));
    else if (run.stepsCut) parts.push(el('p', { class: 'tc-note' }, `Its decisions are left out of this file: tune-core explain ${run.name} ${TC.trialName(trial)}`));
    const failed = run.failures.find((f) => f.trial === trial);
    if (failed) parts.push(el('h4', {}, 'Error'), el('pre', { tabindex: '0' }, failed.text));
    return parts;
  }
  function show(run, holder) {
    run.table = TC.columns(run.columns);
    run.trials = Array.from(TC.unpack(run.ids));
    const detail = el('div', { class: 'tc-card', 'aria-live': 'polite' }, el('p', { class: 'tc-note' }, 'Choose a trial in the table or in a chart to see its configuration, decisions and error.'));
    const tableBox = el('div');
    const parts = [el('h2', {}, run.name)];
    if (data.runs.length === 1) parts.pop();
    parts.push(el('div', { class: 'tc-card' }, facts(run.facts)));
    if (run.best) parts.push(el('h2', {}, `Best: ${run.best.text}`), copyable(run.best.config));
    for (const note of run.notes) parts.push(el('p', { class: 'tc-note' }, note));
    if (run.failures.length) {
      parts.push(el('h2', {}, `Failures (${run.failed})`));
      for (const failure of run.failures) parts.push(el('details', {}, el('summary', {}, `trial ${TC.trialName(failure.trial)}: ${failure.line}`), el('pre', { tabindex: '0' }, failure.text)));
      if (run.failed > run.failures.length) parts.push(el('p', { class: 'tc-note' }, `${run.failed - run.failures.length} more failed.`));
    }
    parts.push(el('h2', {}, 'Trials'), tableBox, detail, el('h2', {}, 'Charts'));
    const charts = run.charts.map((spec) => [el('div', { class: 'tc-card' }), spec]);
    parts.push(...charts.map((pair) => pair[0]));
    parts.push(el('h2', {}, 'Why trials ended'), el('table', { class: 'tc-why' }, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'trials'), el('th', { scope: 'col' }, 'reason'))), el('tbody', {}, ...run.reasons.map(([n, text]) => el('tr', {}, el('td', { class: 'tc-num' }, String(n)), el('td', {}, text))))));
    parts.push(el('h2', {}, 'Environment'), el('div', { class: 'tc-card' }, facts(run.environment)));
    holder.replaceChildren(...parts);
    const table = TC.table(tableBox, { columns: run.table, count: run.trials.length, id: (row) => run.trials[row] }, { onSelect: (trial) => TC.select(trial), sortBy: run.sort[0], down: run.sort[1] });
    charts.forEach(([box, spec]) => TC.chart(box, spec));
    current = (trial) => {
      if (trial === null) { table.mark(null); return; }
      table.show(trial);
      if (run.trials.includes(trial)) detail.replaceChildren(...trialCard(run, trial));
    };
  }
  let current = () => {};
  document.addEventListener('tc:select', (e) => current(e.detail));

  const themes = el('select', { 'aria-label': 'colours' }, el('option', { value: '' }, 'system colours'), el('option', { value: 'light' }, 'light'), el('option', { value: 'dark' }, 'dark'));
  themes.value = document.documentElement.dataset.theme || '';
  themes.addEventListener('change', () => TC.setTheme(themes.value));
  const section = el('section');
  main.append(el('div', { class: 'tc-bar' }, el('h1', {}, data.title), themes));
  if (data.runs.length > 1) {
    for (const spec of data.compared) { const box = el('div', { class: 'tc-card' }); main.append(box); TC.chart(box, spec); }
    const tabs = data.runs.map((run) => el('button', { type: 'button', onclick: () => choose(run) }, run.label));
    var choose = (run) => { tabs.forEach((tab, k) => tab.setAttribute('aria-pressed', String(data.runs[k] === run))); TC.selected = null; show(run, section); };
    main.append(el('nav', { class: 'tc-bar', 'aria-label': 'experiments' }, ...tabs));
    main.append(section);
    choose(data.runs[0]);
  } else { main.append(section); show(data.runs[0], section); }
})();
