// "Paper (PDF)" and "Paper (HTML)" in JupyterLab's export menu. JupyterLab shows a format by the
// name of its entry point, and puts the name into an address that takes letters, digits and _ alone.
(() => {
  const EXPORT = "notebook:export-to-format";
  const NAMES = { "Paper (HTML)": "halfgen_html", "Paper (PDF)": "halfgen_pdf" };
  const activate = (app) => {
    const { nbconvert } = app.serviceManager, commands = app.commands;
    const getFormats = nbconvert.getExportFormats.bind(nbconvert);
    nbconvert.getExportFormats = async (force) => {
      const formats = Object.entries((await getFormats(force)) ?? {});
      const shown = formats.filter(([name]) => !name.startsWith("halfgen"));
      const papers = Object.entries(NAMES).map(([label, name]) => [label, Object.fromEntries(formats)[name]]);
      return Object.fromEntries([...shown, ...papers.filter(([, format]) => format)]);
    };
    const execute = commands.execute.bind(commands);
    commands.execute = (id, args) =>
      execute(id, id === EXPORT ? { ...args, format: NAMES[args.format] ?? args.format } : args);
  };
  const plugin = { id: "halfgen:export-menu", autoStart: true, activate };
  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB.halfgen = { init() {}, get: async () => () => ({ __esModule: true, default: plugin }) };
})();
