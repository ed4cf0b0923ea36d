// The page's words in Chinese; English is the key.
(function () {
  'use strict';
  const TC = window.TC, ZH = {
    'experiments': '实验', 'Experiments': '实验', 'name': '名称', 'state': '状态', 'trials': '试验', 'best': '最优', 'started': '开始时间', 'took': '用时',
    'running': '运行中', 'finished': '已完成', 'interrupted': '已中断', 'cut off': '意外终止', 'unreadable': '无法读取', 'compare': '比较', 'Compare': '比较',
    'Overview': '概览', 'Trials': '试验', 'Charts': '图表', 'Workers': '工作进程', 'trial': '试验', 'outcome': '结果', 'iterations': '迭代次数', 'seconds': '秒', 'reason': '原因',
    'completed': '已完成', 'stopped early': '提前停止', 'stopped': '已停止', 'failed': '失败', 'paused': '已暂停', 'pending': '等待中',
    'Filter trials': '筛选试验', 'Filter: words, or e.g. loss<0.5': '筛选：关键词，或如 loss<0.5', 'columns': '列', 'of': '/', 'no trials': '没有试验', 'sort': '排序',
    'Table of trials. Up and down move, Enter opens.': '试验表。上下键移动，回车键打开。', 'Download report': '下载报告', 'Stop run': '停止运行', 'Hold': '暂停启动', 'Resume': '继续启动', 'Stop trial': '停止试验',
    'Time budget (s)': '时间预算（秒）', 'Set': '设置', 'language': '语言', 'colours': '配色', 'system colours': '跟随系统', 'light': '浅色', 'dark': '深色',
    'metric': '指标', 'results': '结果数', 'scheduler': '调度器', 'searcher': '搜索算法', 'seed': '随机种子', 'live': '实时', 'connection lost, trying again': '连接中断，正在重试',
    'configuration': '配置', 'last result': '最近结果', 'decisions': '决策', 'output': '输出', 'error': '错误', 'checkpoints': '检查点', 'close': '关闭', 'worker': '工作进程', 'since': '开始',
    'waiting': '等待', 'why': '原因', 'Nothing waits.': '没有等待的试验。', 'Nothing runs.': '没有运行中的试验。', 'log': '对数', 'clip outliers': '截去离群值', 'points': '个点', 'show or hide': '显示或隐藏',
    'Arrow keys move between points, Enter selects a trial.': '方向键在点之间移动，回车键选择试验。', 'nothing to show': '没有可显示的内容', 'best so far': '目前最优', 'no value': '无数值',
    'training_iteration': '训练迭代', 'seconds since the start': '开始后的秒数', 'busy workers': '忙碌的工作进程', 'share of the importance': '重要性占比', 'not set': '未设置', 'rung: iterations trained': '梯级：已训练的迭代',
    'history': '优化历史', 'learning_curves': '学习曲线', 'parallel_coordinates': '平行坐标', 'slices': '切片', 'contour': '等值图', 'importance': '参数重要性', 'rungs': '梯级', 'pbt_lineage': '种群谱系', 'timeline': '时间线',
    'went on or completed': '继续或完成', 'stopped there': '在此停止', 'paused there at some time': '曾在此暂停', 'copied to': '复制到', 'becomes a copy': '成为副本', 'Choose two or more experiments to compare.': '请选择两个或更多实验进行比较。',
    'sent; the run takes it at its next look': '已发送；运行将在下次检查时执行', 'Loading…': '加载中…', 'back to the list': '返回列表', 'No experiments yet.': '还没有实验。', 'parameter': '参数', 'long curves are thinned': '长曲线已抽稀', 'not all points are drawn': '未绘制全部点', 'busy': '忙碌', 'worker ': '工作进程', 'attempts': '尝试次数', 'Skip to content': '跳到内容', 'choose': '选择', 'state: ': '状态：',
  };
  const CHARTS = { history: 'History', learning_curves: 'Learning curves', parallel_coordinates: 'Parallel coordinates', slices: 'Slices', contour: 'Contours', importance: 'Importance', rungs: 'Rungs', pbt_lineage: 'Family tree', timeline: 'Timeline' };
  TC.chartName = (kind) => (TC.language === 'zh' ? ZH[kind] : CHARTS[kind]) || kind;
  TC.setLanguage = function (name) {
    TC.language = name;
    document.documentElement.lang = name === 'zh' ? 'zh-CN' : 'en';
    for (const key of Object.keys(TC.words)) delete TC.words[key];
    if (name === 'zh') Object.assign(TC.words, ZH);
  };
  // In Chinese a chart is headed by its kind and what it shows.
  TC.titleOf = function (spec) {
    if (TC.language !== 'zh' || !ZH[spec.kind]) return spec.title;
    const metric = (spec.scale && spec.scale.title !== 'trial' && spec.scale.title) || (spec.panels[0] && ['history', 'learning_curves', 'slices'].includes(spec.kind) && spec.panels[0].y.title) || '';
    return metric ? `${ZH[spec.kind]}：${metric}` : ZH[spec.kind];
  };
  let kept = null;
  try { kept = localStorage.getItem('tune-core-language'); } catch (e) { /* no storage */ }
  TC.setLanguage(kept || ((navigator.language || '').startsWith('zh') ? 'zh' : 'en'));
})();
